/**
 * `docs/web-api.webidl` is valid, and says the same as the types of the public modules: `node web/checks/web_idl.mjs`.
 *
 * Compared are, member by member and argument by argument, names, types, and what may be left out. Both sides are written
 * in one notation first, that of TypeScript; where TypeScript has no name for a dictionary or an enumeration, it is written out.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { parse, validate } from "webidl2";
import { ROOT, SERVED } from "./public_modules.mjs";

const DOCUMENT = "docs/web-api.webidl";
const SIMPLE = {
  undefined: "void",
  DOMString: "string",
  USVString: "string",
  "unsigned short": "number",
  "unsigned long": "number",
  "unsigned long long": "number",
  double: "number",
};

/** @typedef {Map<string, string>} Shape each member, with `?` where it may be left out, and its type */
/** @typedef {{ base: string | null, members: Shape, comment: string }} Declared */

/** Text in which the order of members does not count. */
const written = (/** @type {Shape} */ shape) =>
  `{ ${[...shape].map(([name, type]) => `${name}: ${type}`).sort().join("; ")} }`;
const union = (/** @type {string[]} */ types) => [...new Set(types)].sort().join(" | ");

// The types of the modules

// The interface of `mls.js` is Firefox's, and `python.js` is for Python: neither is described here.
const entries = [join(SERVED, "index.d.ts"), join(SERVED, "call.d.ts")];
const program = ts.createProgram(entries, {
  target: ts.ScriptTarget.ES2023,
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  lib: ["lib.es2023.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts"],
  types: [],
  strict: true,
  exactOptionalPropertyTypes: true,
});
const checker = program.getTypeChecker();
/** @type {Map<string, Declared>} classes and interfaces, with all that they are made of */
const declared = new Map();

/**
 * @param {ts.Type} type
 * @returns {string}
 */
function typed(type) {
  if (type.flags & ts.TypeFlags.Boolean) return "boolean";
  if (type.isUnion()) {
    const parts = type.types.filter(({ flags }) => !(flags & ts.TypeFlags.BooleanLiteral));
    const boolean = type.types.some(({ flags }) => flags & ts.TypeFlags.BooleanLiteral) ? ["boolean"] : [];
    return union([...parts.map(typed), ...boolean]);
  }
  if (type.isStringLiteral()) return `"${type.value}"`;
  const [signature] = type.getCallSignatures();
  if (signature) {
    return `(${signature.parameters.map((one) => typed(checker.getTypeOfSymbol(one))).join(", ")}) => ${typed(signature.getReturnType())}`;
  }
  if (!(type.flags & ts.TypeFlags.Object)) return checker.typeToString(type);
  if (checker.isArrayType(type)) return `${typed(checker.getTypeArguments(/** @type {ts.TypeReference} */ (type))[0])}[]`;
  const name = type.symbol?.name;
  if (name === "Promise") return `Promise<${typed(checker.getTypeArguments(/** @type {ts.TypeReference} */ (type))[0])}>`;
  const ours = type.symbol?.declarations?.some((one) => one.getSourceFile().fileName.startsWith(SERVED)) ?? false;
  if (ours && (type.isClassOrInterface() || type.symbol.flags & ts.SymbolFlags.Class)) return declare(type);
  const index = type.getStringIndexType();
  if (index) return index.flags & ts.TypeFlags.Unknown ? "object" : `Record<string, ${typed(index)}>`;
  return name === "__type" || name === "__object" ? written(shape(type.getProperties())) : (name ?? checker.typeToString(type));
}

/**
 * The type that a member or argument has, if it is there.
 *
 * @param {ts.Symbol} symbol
 * @returns {string}
 */
function given(symbol) {
  const type = checker.getTypeOfSymbol(symbol);
  return typed(symbol.flags & ts.SymbolFlags.Optional ? checker.getNonNullableType(type) : type);
}

/**
 * @param {ts.Symbol[]} symbols
 * @returns {Shape}
 */
function shape(symbols) {
  return new Map(
    symbols.map((symbol) => {
      const optional = symbol.flags & ts.SymbolFlags.Optional ? "?" : "";
      return [symbol.name + optional, given(symbol)];
    }),
  );
}

/**
 * @param {ts.Type} type a class or interface of ours
 * @returns {string} its name
 */
function declare(type) {
  const { name } = type.symbol;
  if (declared.has(name)) return name;
  const base = type.getBaseTypes?.()?.[0]?.symbol.name ?? null;
  /** @type {Declared} */
  const made = { base, members: new Map(), comment: ts.displayPartsToString(type.symbol.getDocumentationComment(checker)) };
  declared.set(name, made);
  for (const [prefix, holder] of [["", type.symbol.members], ["static ", type.symbol.exports]]) {
    for (const symbol of holder?.values() ?? []) {
      if (symbol.flags & ts.SymbolFlags.Prototype || symbol.name.includes("#")) continue;
      if (symbol.name === "__constructor") {
        const [signature] = checker.getTypeOfSymbol(type.symbol).getConstructSignatures();
        made.members.set("constructor", parameters(signature));
      } else if (symbol.flags & ts.SymbolFlags.Method) {
        const [signature] = checker.getTypeOfSymbol(symbol).getCallSignatures();
        made.members.set(prefix + symbol.name, `${parameters(signature)}: ${typed(signature.getReturnType())}`);
      } else {
        const optional = symbol.flags & ts.SymbolFlags.Optional ? "?" : "";
        made.members.set(prefix + symbol.name + optional, given(symbol));
      }
    }
  }
  return name;
}

/**
 * @param {ts.Signature} signature
 * @returns {string}
 */
function parameters({ parameters }) {
  const each = parameters.map((symbol) => {
    const declaration = /** @type {ts.ParameterDeclaration} */ (symbol.valueDeclaration);
    const optional = declaration.questionToken || declaration.initializer ? "?" : "";
    // What is taken apart in place has no name.
    const name = ts.isIdentifier(declaration.name) ? declaration.name.text : "options";
    return `${name}${optional}: ${optional ? typed(checker.getNonNullableType(checker.getTypeOfSymbol(symbol))) : given(symbol)}`;
  });
  return `(${each.join(", ")})`;
}

for (const entry of entries) {
  const source = program.getSourceFile(entry);
  if (source === undefined) throw new Error(`${entry} is missing: python3 -m dev.environment`);
  const module = /** @type {ts.Symbol} */ (checker.getSymbolAtLocation(source));
  for (const exported of checker.getExportsOfModule(module)) {
    const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
    if (symbol.flags & (ts.SymbolFlags.Class | ts.SymbolFlags.Interface)) declare(checker.getDeclaredTypeOfSymbol(symbol));
  }
}

// The document

const definitions = parse(readFileSync(join(ROOT, DOCUMENT), "utf8"), { sourceName: DOCUMENT });
const byName = new Map(definitions.map((one) => [one.name, one]));

/**
 * @param {any} type of Web IDL
 * @returns {string}
 */
function translated(type) {
  if (type.nullable) return union([SIMPLE[type.idlType] ?? type.idlType, "null"]);
  if (type.union) return union(type.idlType.map((one) => (one.idlType === "undefined" ? "undefined" : translated(one))));
  if (type.generic === "sequence" || type.generic === "FrozenArray") return `${translated(type.idlType[0])}[]`;
  if (type.generic === "record") return `Record<string, ${translated(type.idlType[1])}>`;
  if (type.generic) return `${type.generic}<${type.idlType.map(translated).join(", ")}>`;
  const named = byName.get(type.idlType);
  if (named?.type === "enum") return union(named.values.map(({ value }) => `"${value}"`));
  if (named?.type === "callback") {
    return `(${named.arguments.map((one) => translated(one.idlType)).join(", ")}) => ${translated(named.idlType)}`;
  }
  if (named?.type === "dictionary" && !declared.has(named.name)) return written(fields(named));
  return SIMPLE[type.idlType] ?? type.idlType;
}

/** @returns {Shape} */
function fields(dictionary) {
  return new Map(dictionary.members.map(({ name, required, idlType }) => [name + (required ? "" : "?"), translated(idlType)]));
}

function list(args) {
  return `(${args.map(({ name, optional, idlType }) => `${name}${optional ? "?" : ""}: ${translated(idlType)}`).join(", ")})`;
}

/** @returns {Shape} */
function members(definition) {
  if (definition.type === "dictionary") return fields(definition);
  return new Map(
    definition.members.map((member) => {
      const prefix = member.special === "static" ? "static " : "";
      if (member.type === "constructor") return ["constructor", list(member.arguments)];
      if (member.type === "attribute") return [prefix + member.name, translated(member.idlType)];
      return [prefix + member.name, `${list(member.arguments)}: ${translated(member.idlType)}`];
    }),
  );
}

// Both

const faults = validate(definitions).map(({ message }) => message);
const described = definitions.filter(({ type, name }) => type === "interface" || (type === "dictionary" && declared.has(name)));
for (const name of declared.keys()) {
  if (!described.some((definition) => definition.name === name)) faults.push(`${name} is not in ${DOCUMENT}.`);
}
for (const definition of described) {
  const { name } = definition;
  const own = declared.get(name);
  if (own === undefined) {
    faults.push(`${name} is in ${DOCUMENT} alone.`);
    continue;
  }
  const theirs = members(definition);
  // An interface of Web IDL cannot inherit from `Error`.
  if (own.base === "Error") own.members.set("message", "string");
  else if (own.base !== definition.inheritance) faults.push(`${name} inherits from ${own.base}, not from ${definition.inheritance}.`);
  for (const member of new Set([...own.members.keys(), ...theirs.keys()])) {
    const [ours, said] = [own.members.get(member), theirs.get(member)];
    if (ours !== said) faults.push(`${name}.${member}\n  is   ${ours ?? "not there"}\n  said ${said ?? "nothing"}`);
  }
  const types = byName.get(`${name}EventType`);
  if (own.base === "EventTarget" && types === undefined) faults.push(`There is no enumeration ${name}EventType.`);
  for (const { value } of types?.values ?? []) {
    if (!own.comment.includes(`\`${value}\``)) faults.push(`The comment of ${name} does not tell of its event ${value}.`);
  }
}

const told = (program.getSourceFile(join(SERVED, "protocol.d.ts"))?.statements ?? [])
  .filter((statement) => ts.isInterfaceDeclaration(statement) && /Events$/.test(statement.name.text))
  .flatMap(({ members }) => members.map((member) => member.name.getText()));
const said = byName.get("ClientEventType")?.values.map(({ value }) => value) ?? [];
if (union(told) !== union(said)) faults.push(`The client's events are ${union(told)}; said are ${union(said)}.`);

for (const fault of faults) console.error(fault);
if (faults.length > 0) console.error(`${DOCUMENT} and the module's types differ; mend what is wrong.`);
process.exitCode = faults.length > 0 ? 1 : 0;
