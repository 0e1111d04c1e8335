/**
 * Compiles a function at the start of the process from constants of the source, never from input. It is for
 * conversions that a list describes: with compiled object literals, they take as long as if they were written by hand.
 * A loop over the list takes three times as long: 7.9 instead of 2.7 µs to decode a cached session, and 6.2 instead of
 * 1.9 µs to convert its row.
 *
 * @param parameters the names of its parameters
 * @param expression the value that it returns; it uses the parameters, and `values` by their names
 */
export function compileFunction<Compiled>(
  parameters: string,
  expression: string,
  values: Record<string, unknown>,
): Compiled {
  const names = Object.keys(values);
  const build = new Function(...names, `return (${parameters}) => (${expression});`);
  return build(...names.map((name) => values[name])) as Compiled;
}
