// How aimock is told which step of a conversation it is asked for.

export const call = (name, args = {}) => ({ name, arguments: args });
export const outputs = (body) => body.messages.filter(({ role }) => role === "tool");

/// Matches a request that holds so many tool outputs, the last of which says `contains`.
export const turn = (count, userMessage, contains) => ({
  userMessage,
  ...(contains && { toolResultContains: contains }),
  predicate: (body) => outputs(body).length === count,
});

/// The bodies of the model calls that a mock got.
export const bodies = (model) =>
  model.getRequests().filter(({ path }) => path.endsWith("/chat/completions")).map(({ body }) => body);
