/**
 * JSON Schemas in words: types, fields, examples. Knows as much of JSON Schema as openapi.json uses.
 */

/** Follow a reference within `document` (the whole openapi.json); any other value comes back as it is. */
export function resolve(document, value) {
  if (!value || !value.$ref) return value;
  return value.$ref.slice(2).split("/").reduce((place, name) => place[name], document);
}

/** Name of what a reference leads to, or "". */
const referred = (schema) => (schema.$ref ? schema.$ref.split("/").pop() : "");

/** What values are like, in a few words: "list of JobStatus", "text or null". */
export function typeOf(document, schema) {
  const variants = schema.anyOf || schema.oneOf;
  if (variants && !schema.type) return [...new Set(variants.map((part) => typeOf(document, part)))].join(" or ");
  if (schema.$ref) {
    const target = resolve(document, schema);
    return target.enum ? typeOf(document, target) : referred(schema);
  }
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(", ");
  if (schema.prefixItems) return `[${schema.prefixItems.map((part) => typeOf(document, part)).join(", ")}]`;
  if (schema.type === "array") return schema.items ? `list of ${typeOf(document, schema.items)}` : "list";
  if (schema.type === "object") {
    const values = schema.additionalProperties;
    return values && values !== true ? `map to ${typeOf(document, values)}` : "object";
  }
  const names = { string: "text", integer: "whole number", number: "number", boolean: "true or false", null: "null" };
  return (names[schema.type] || "anything") + limits(schema);
}

function limits(schema) {
  const { minimum: least, maximum: most } = schema;
  const parts = [];
  if (least !== undefined && most !== undefined) parts.push(`${least} to ${most}`);
  else if (least !== undefined) parts.push(`at least ${least}`);
  else if (most !== undefined) parts.push(`at most ${most}`);
  if (schema.maxLength !== undefined) parts.push(`up to ${schema.maxLength} characters`);
  if (schema.format) parts.push(schema.format);
  return parts.length ? ` (${parts.join(", ")})` : "";
}

/** The objects that a schema is made of directly: itself, or what its lists, maps and variants hold. */
export function parts(document, schema) {
  const found = resolve(document, schema);
  if (!found || found.enum) return [];
  if (found.properties) return [{ name: referred(schema), schema: found }];
  const inner = [...(found.anyOf || found.oneOf || []), found.items, found.additionalProperties];
  return inner.filter((part) => part && part !== true).flatMap((part) => parts(document, part));
}

/** The fields of an object: name, schema, whether they are always there. */
export function fields(schema) {
  const required = new Set(schema.required || []);
  return Object.entries(schema.properties || {}).map(([name, value]) => ({
    name,
    schema: value,
    required: required.has(name),
  }));
}

/** A small body that the route takes: the required fields, as their examples say. */
export function exampleOf(document, schema) {
  const found = resolve(document, schema);
  const needed = fields(found).filter((field) => field.required);
  return Object.fromEntries(needed.map(({ name, schema: field }) => [name, (field.examples || [""])[0]]));
}
