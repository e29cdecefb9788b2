//! The agent loop as a pure state machine.
