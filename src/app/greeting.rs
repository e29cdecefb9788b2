//! What the daemon prints when it is up: what it serves, who answers, and a line to try.

use crate::config::Loaded;
use std::io::{self, Write};
use std::net::SocketAddr;

/// Says it on standard output. Whoever reads that may have gone, as in `nuncio | head -1`: the daemon serves on.
pub fn print(loaded: &Loaded, address: SocketAddr, source: &str, sandbox: &[String]) {
    let _ = write(&mut io::stdout().lock(), loaded, address, source, sandbox);
}

fn write(
    out: &mut impl Write,
    loaded: &Loaded,
    address: SocketAddr,
    source: &str,
    sandbox: &[String],
) -> io::Result<()> {
    let config = &loaded.config;
    let base = format!("http://{address}/v1");
    writeln!(out, "nuncio {} serves {base}", env!("CARGO_PKG_VERSION"))?;
    let file = loaded.file.as_ref().map_or("none, so defaults".to_owned(), |file| file.display().to_string());
    writeln!(out, "  file      {file}")?;
    for line in config.summary() {
        writeln!(out, "  {line}")?;
    }
    for line in sandbox {
        writeln!(out, "  {line}")?;
    }
    writeln!(out, "  upstream  chosen {source}")?;
    let model = config.default_profile().map_or("nuncio", |(id, _)| id);
    let key = if config.auth.keys.is_empty() { "" } else { " -H 'Authorization: Bearer YOUR_KEY'" };
    writeln!(out, "try it:\n  curl {base}/chat/completions{key} -H 'Content-Type: application/json' \\")?;
    writeln!(out, "    -d '{{\"model\":\"{model}\",\"messages\":[{{\"role\":\"user\",\"content\":\"Hello!\"}}]}}'")
}
