/** The bundle of `tests/interop/ts_mls_members.js`: members that run ts-mls. */
declare module "ts-mls-members" {
  /** Answer a request, a JSON object on one line; octets are hexadecimal. */
  export function answer(line: string): Promise<string>;
}
