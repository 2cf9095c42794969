/**
 * Where the delivery services are that the pages know of.
 *
 * @import { MLSFederation } from "../src/index.js"
 */

/** @returns {Promise<Record<string, string>>} base address of each domain's delivery service */
export async function fetchDirectory() {
  const response = await fetch("/federation.json");
  if (!response.ok) throw new Error(`The list of delivery services could not be loaded (HTTP ${response.status}).`);
  return (await response.json()).domains;
}

/**
 * Only one's own service must answer now; another domain's is asked when it is needed.
 *
 * @param {MLSFederation} mls
 * @param {Record<string, string>} directory
 * @param {string} own
 * @param {(domain: string, error: unknown) => void} onproblem told of another service that does not answer
 */
export async function setServices(mls, directory, own, onproblem) {
  for (const [domain, url] of Object.entries(directory)) {
    await mls.setDeliveryService(domain, url).catch((error) => {
      if (domain === own) throw error;
      onproblem(domain, error);
    });
  }
}

/** @param {string} identity */
export const domainOf = (identity) => identity.slice(identity.lastIndexOf("@") + 1);
