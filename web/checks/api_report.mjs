/**
 * The public surface of the module, written down in `web/api/*.api.md`, one file for each module that `exports` of
 * `web/package.json` names: `node web/checks/api_report.mjs [--update]`.
 *
 * Without `--update` it only compares, and fails where the surface and its report differ, or where something public is not
 * documented. What it reads are the declarations that visitors get, so `build/web` must be current.
 */
import { Extractor, ExtractorConfig, ExtractorLogLevel } from "@microsoft/api-extractor";
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { ROOT, SERVED, publicModules } from "./public_modules.mjs";

const REPORTS = join(ROOT, "web/api");
const DRAFTS = join(ROOT, "build/api");
const UPDATE = "node web/checks/api_report.mjs --update";

// Comments are JSDoc, with types and in sentences of our own, not TSDoc: of what the extractor can find wrong, these remain.
const MESSAGES = {
  compilerMessageReporting: { default: { logLevel: ExtractorLogLevel.Error } },
  extractorMessageReporting: {
    default: { logLevel: ExtractorLogLevel.Error },
    // Types that a result has inside are in the report without being exported by name.
    "ae-forgotten-export": { logLevel: ExtractorLogLevel.None },
    "ae-missing-release-tag": { logLevel: ExtractorLogLevel.None },
    "ae-undocumented": { logLevel: ExtractorLogLevel.Error },
  },
  tsdocMessageReporting: { default: { logLevel: ExtractorLogLevel.None } },
};

/**
 * @param {string} name
 * @returns {string}
 */
function reportName(name) {
  return `${name === "index" ? "mls-federation" : name}.api.md`;
}

/** @param {typeof MESSAGES} messages */
function withoutDocumentation(messages) {
  const extractor = { ...messages.extractorMessageReporting, "ae-undocumented": { logLevel: ExtractorLogLevel.None } };
  return { ...messages, extractorMessageReporting: extractor };
}

/**
 * @param {string} name of a public module
 * @param {boolean} update
 * @returns {boolean} whether all is well
 */
function report(name, update) {
  // What the interface of `mls.js` means is said where it comes from, and in docs/mls-facade.md.
  const messages = name === "mls" ? withoutDocumentation(MESSAGES) : MESSAGES;
  const entry = join(SERVED, `${name}.d.ts`);
  const compilerOptions = {
    target: "ES2023",
    module: "ESNext",
    moduleResolution: "Bundler",
    lib: ["ES2023", "DOM", "DOM.Iterable"],
    types: [],
    strict: true,
    exactOptionalPropertyTypes: true,
  };
  const config = ExtractorConfig.prepare({
    configObject: {
      projectFolder: ROOT,
      mainEntryPointFilePath: entry,
      compiler: { overrideTsconfig: { compilerOptions, files: [entry] } },
      apiReport: {
        enabled: true,
        reportFolder: REPORTS,
        reportTempFolder: DRAFTS,
        reportFileName: reportName(name),
        includeForgottenExports: true,
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      newlineKind: "lf",
      messages,
    },
    configObjectFullPath: undefined,
    packageJsonFullPath: join(ROOT, "web/package.json"),
  });
  const result = Extractor.invoke(config, {
    localBuild: update,
    messageCallback: (message) => {
      message.handled = true;
      if (message.logLevel !== "error") return;
      const where = message.sourceFilePath ? `${relative(ROOT, message.sourceFilePath)}:${message.sourceFileLine}: ` : "";
      console.error(`${where}${message.text} (${message.messageId})`);
    },
  });
  if (result.apiReportChanged) {
    const path = relative(ROOT, join(REPORTS, reportName(name)));
    console.error(update ? `${path} is updated.` : `${path} is not what the module offers. If that is meant: ${UPDATE}`);
  }
  return result.errorCount === 0 && (update || !result.apiReportChanged);
}

const update = process.argv.includes("--update");
mkdirSync(DRAFTS, { recursive: true });
mkdirSync(REPORTS, { recursive: true });
const names = publicModules();
const surplus = readdirSync(REPORTS).filter((file) => !names.map(reportName).includes(file));
for (const file of surplus) console.error(`web/api/${file} is the report of no public module: delete it.`);
const missing = names.filter((name) => !existsSync(join(SERVED, `${name}.d.ts`)));
for (const name of missing) console.error(`build/web/mls-federation/${name}.d.ts is missing: python3 -m dev.environment`);
const fine = names.filter((name) => !missing.includes(name)).map((name) => report(name, update));
if (surplus.length > 0 || missing.length > 0 || fine.includes(false)) process.exitCode = 1;
