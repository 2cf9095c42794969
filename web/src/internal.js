/** Keeps what our modules need of each other's classes out of these classes' public names. */

/** `MLSFederation[request](method, params)`: one request to the worker. */
export const request = Symbol("request");

/** `client[receive](event)`: an event of the worker's for this client. */
export const receive = Symbol("receive");
