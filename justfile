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

# What a request costs, beside the upstream alone and a proxy.
bench *ARGS:
    cargo bench --bench gateway -- {{ARGS}}

# The benches of single parts.
micro:
    cargo bench --bench micro --bench store

# Ten minutes of everything at once.
soak *MINUTES:
    benches/soak.sh {{MINUTES}}

# Everything the gate runs.
ci:
    .ci/run
