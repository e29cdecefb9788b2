// Scripts for the built-in `rehearsal` upstream, which stands in for a model; docs/rehearsal.md has the grammar.
export const call = (tool, args) => `call: ${tool} ${JSON.stringify(args)}`;
export const run = (command) => `run: ${command}`;
