# Lists the recipes.
default:
    @just --list

# Starts the gateway.
run *ARGS:
    cargo run --release -- {{ARGS}}

# The tests that need only Rust.
test *ARGS:
    cargo test {{ARGS}}

# The tests with the Python and Node clients.
interop:
    tests/interop/run.sh

# Formats, then lints as the gate does.
lint:
    cargo fmt
    cargo clippy --all-targets -- -D warnings

# The micro benches.
bench:
    cargo bench --bench micro --bench store

# Everything the gate runs.
ci:
    .ci/run
