// Words that make the built-in `rehearsal` upstream do something.
export const call = (tool, args) => `call ${tool} ${JSON.stringify(args)}`;
export const run = (command) => `run ${command}`;
