// Tests of what the daemon does not do yet.
import assert from "node:assert/strict";
import { test } from "node:test";

/// A test that fails for now. Once it passes it fails the run: then `later(reason, …)` is to become `test(…)`.
export const later = (reason, name, run) =>
  test(`${name} (not yet: ${reason})`, () => assert.rejects(async () => run()));
