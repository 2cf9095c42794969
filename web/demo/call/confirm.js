/** A question before what cannot be taken back. */
import { byId } from "../dom.js";

/**
 * @param {{ title: string, text: string, action: string }} question
 * @returns {Promise<boolean>} whether the person wants it
 */
export function confirmed({ title, text, action }) {
  const dialog = byId("confirm", HTMLDialogElement);
  byId("confirm-title", HTMLElement).textContent = title;
  byId("confirm-text", HTMLElement).textContent = text;
  byId("confirm-yes", HTMLButtonElement).textContent = action;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
