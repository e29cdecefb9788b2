//! The command line: what can be asked of the binary, and the flags that outrank every other setting.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::{auth, log::Format};

/// A full agent behind the OpenAI API.
#[derive(Debug, Parser)]
#[command(name = "nuncio", version, about)]
pub struct Cli {
    #[command(flatten)]
    pub flags: Flags,
    /// `None` means [`Command::Serve`]; read it through [`Cli::command`].
    #[command(subcommand)]
    command: Option<Command>,
}

impl Cli {
    pub fn command(&self) -> &Command {
        self.command.as_ref().unwrap_or(&Command::Serve)
    }
}

/// Settings given as flags; each wins over the environment and the file.
#[derive(Clone, Debug, Default, Args)]
pub struct Flags {
    /// Address to listen on; anything but loopback needs a key
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub host: Option<String>,
    /// Port to listen on; 0 takes any free one
    #[arg(long, global = true)]
    pub port: Option<u16>,
    /// Folder for workspaces and everything else the daemon keeps
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Configuration file; else NUNCIO_CONFIG, ./config.yaml, $XDG_CONFIG_HOME/nuncio/config.yaml
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Form of the log lines
    #[arg(long, global = true, value_enum)]
    pub log_format: Option<Format>,
}

#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Run the gateway (what happens when no command is given)
    Serve,
    /// Load and check the configuration, print what would run, exit 0 or 1
    Check,
    /// Manage the keys that clients present
    #[command(subcommand)]
    Key(KeyCommand),
}

#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum KeyCommand {
    /// Print a new key, once, and the line that makes the configuration accept it
    New {
        /// Whose key it is: the principal that sessions and limits belong to
        #[arg(value_parser = auth::parse_name)]
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        <Cli as CommandFactory>::command().debug_assert();
    }

    #[test]
    fn no_command_serves_and_flags_may_stand_anywhere() {
        let plain = Cli::try_parse_from(["nuncio", "--port", "0"]).unwrap();
        assert_eq!((plain.command(), plain.flags.port), (&Command::Serve, Some(0)));

        let check = Cli::try_parse_from(["nuncio", "check", "--log-format", "json"]).unwrap();
        assert_eq!((check.command(), check.flags.log_format), (&Command::Check, Some(Format::Json)));
    }

    #[test]
    fn a_key_needs_a_name_that_can_be_a_principal() {
        let made = Cli::try_parse_from(["nuncio", "key", "new", "alice"]).unwrap();
        let expected = Command::Key(KeyCommand::New { name: "alice".into() });
        assert_eq!(made.command(), &expected);

        let error = Cli::try_parse_from(["nuncio", "key", "new", "a b"]).unwrap_err();
        assert!(error.to_string().contains("1 to 64 of A-Z a-z 0-9 . _ -"), "{error}");
    }

    #[test]
    fn a_bad_flag_names_the_flag() {
        let error = Cli::try_parse_from(["nuncio", "--port", "70000"]).unwrap_err();
        assert!(error.to_string().contains("'--port <PORT>'"), "{error}");
    }
}
