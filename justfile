# A name for everything that a person runs more than once. `just` alone lists them.

default:
    @just --list

# What CI runs.
ci:
    .ci/run

# Formatting and lints, as CI asks for them.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

test:
    cargo test --workspace

# Three servers and sundew in front of them.
demo:
    cargo run --release -- demo

# The same questions to the real Traefik and to sundew.
compare-traefik *arguments:
    proxy/tests/compare/run {{arguments}}

# Mutated requests through sundew to nginx, Node, Python and Caddy: what do they read? [count] [seed]
differential *arguments:
    proxy/tests/differential/run {{arguments}}

# Every fuzz target for so many seconds; needs the nightly toolchain and cargo-fuzz.
fuzz seconds="60":
    proxy/fuzz/run {{seconds}}

# sundew beside every peer that is installed, all rows: up to 20 minutes. Nothing else may run.
bench *arguments:
    cargo build --release --workspace
    target/release/sundew-loadtest compare {{arguments}}

# sundew beside nginx and HAProxy, row a: under 90 seconds. Fails when the ratio is above the bar.
bench-quick *arguments:
    cargo build --release --workspace
    target/release/sundew-loadtest compare --quick {{arguments}}

# Instructions of the hot path against the stored counts; `--update` stores those of now.
instructions argument="--check":
    cargo bench --package sundew --bench instructions -- {{argument}}

# Resident memory of sundew per idle connection. Nothing else may run on the machine.
idle-memory *arguments:
    cargo build --release --workspace
    loadtest/scripts/idle_memory.py {{arguments}}

# Licences, duplicates and sources of the dependencies.
deny:
    cargo deny check licenses bans sources

# What clients see while servers die, configurations change, clients dawdle and descriptors run out;
# names of scenarios, or all. Wants a quiet machine.
faults *arguments:
    cargo build --release --workspace
    loadtest/scripts/faults.py {{arguments}}

# Everything at once for so many minutes, then what is left behind.
soak minutes="10" *arguments:
    cargo build --release --workspace
    loadtest/scripts/soak.py {{minutes}} {{arguments}}

# The JSON Schemas, the reference, the man pages and the shell completions, from the code.
generate:
    SUNDEW_GENERATE=1 cargo test --package sundew-config --package sundew --lib up_to_date
