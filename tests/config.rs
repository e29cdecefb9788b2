//! What a configuration comes to, and what its mistakes are told as.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use nuncio::{
    cli::Flags,
    config::{
        Config, Loaded, auth,
        environment::UpstreamSource,
        log::{Format, Log},
        profiles::{AllowedTools, Profile, Target},
        sandbox::{Network, Sandbox},
        server::Server,
        skills::Skills,
        store::Store,
        tools::{SearchProvider, Tools, WebSearch},
        upstreams::Upstream,
    },
};
use rstest::rstest;
use secrecy::ExposeSecret;

const EXAMPLE: &str = include_str!("../config.example.yaml");
const TOOLS: &[&str] = &["delegate", "read_file", "skill", "terminal", "web_search"];

/// One machine: a working folder with, maybe, files in it; variables; flags.
struct Machine {
    folder: tempfile::TempDir,
    variables: BTreeMap<String, OsString>,
    flags: Flags,
}

impl Machine {
    fn new() -> Self {
        let variables = BTreeMap::from([("HOME".to_owned(), "/home/ada".into())]);
        Self { folder: tempfile::tempdir().unwrap(), variables, flags: Flags::default() }
    }

    fn with_yaml(yaml: &str) -> Self {
        Self::new().file("config.yaml", yaml)
    }

    fn file(self, name: &str, text: &str) -> Self {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn var(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    fn vars(self, all: &[(&str, &str)]) -> Self {
        all.iter().fold(self, |machine, (name, value)| machine.var(name, *value))
    }

    fn flags(mut self, flags: Flags) -> Self {
        self.flags = flags;
        self
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn try_load(&self) -> Result<Loaded, String> {
        let lookup = |name: &str| self.variables.get(name).cloned();
        let strip = |text: String| text.replace(&format!("{}/", self.path().display()), "");
        Config::load(&self.flags, &lookup, self.path(), TOOLS).map_err(|error| strip(error.to_string()))
    }

    fn load(&self) -> Config {
        self.try_load().unwrap_or_else(|error| panic!("{error}")).config
    }

    fn error(&self) -> String {
        self.try_load().expect_err("a configuration error")
    }
}

fn debug(value: &impl std::fmt::Debug) -> String {
    format!("{value:#?}")
}

#[rstest]
#[case::unknown_key(
    "server:\n  prot: 1\n",
    "2:3: server.prot: unknown key; expected one of host, port, allowed_hosts, cors_origins, unknown_model, body_limit, max_runs, keepalive, slow_client_timeout, shutdown_grace, header_wait, websocket_time"
)]
#[case::unknown_section(
    "upstream: {}\n",
    "1:1: upstream: unknown key; expected one of data_dir, server, auth, upstreams, profiles, tools, mcp_servers, sandbox, skills, store, log"
)]
#[case::unknown_key_in_a_list(
    "auth:\n  keys:\n    - name: a\n      key: b\n",
    "4:7: auth.keys[0].key: unknown key; expected one of name, hash, max_runs, trusted_frontend"
)]
#[case::duplicate_key(
    "server:\n  port: 1\n  host: ::1\n  port: 2\n",
    "4:3: server.port: this key is given twice; expected it once"
)]
#[case::duplicate_upstream(
    "upstreams:\n  a: {kind: rehearsal}\n  a: {kind: rehearsal}\n",
    "3:3: upstreams.a: this key is given twice; expected it once"
)]
#[case::missing_key("auth:\n  keys:\n    - name: a\n", "3:7: auth.keys[0].hash: this key must be given")]
#[case::word_for_number(
    "server: {port: http}\n",
    "1:10: server.port: expected a whole number from 0 to 65535; found string \"http\""
)]
#[case::number_too_large(
    "server:\n  port: 70000\n",
    "2:9: server.port: expected a whole number from 0 to 65535; found 70000"
)]
#[case::number_too_small(
    "store: {max_sessions: -1}\n",
    "1:23: store.max_sessions: expected a whole number of 0 or more; found -1"
)]
#[case::number_in_quotes(
    "server:\n  port: '80'\n",
    "2:3: server.port: expected a whole number from 0 to 65535; found string \"80\""
)]
#[case::fraction(
    "profiles: {a: {limits: {steps: 1.5}}}\n",
    "1:25: profiles.a.limits.steps: expected a whole number from 0 to 4294967295; found floating point `1.5`"
)]
#[case::truth_for_text(
    "server: {host: true}\n",
    "1:16: server.host: expected a text; YAML takes this for a number, true or false: put it in quotes"
)]
#[case::number_for_secret(
    "upstreams:\n  a: {api_key: 123}\n",
    "2:16: upstreams.a.api_key: expected a text; YAML takes this for a number, true or false: put it in quotes"
)]
#[case::no_tools_said(
    "profiles:\n  p:\n    tools:\n",
    "3:5: profiles.p.tools: expected `all` or a list of tool names; found nothing"
)]
#[case::tool_twice(
    "profiles:\n  p:\n    tools: [terminal, terminal]\n",
    "3:23: profiles.p.tools[1]: expected each tool once; found `terminal` again"
)]
#[case::yes_for_true("profiles: {a: {default: yes}}\n", "1:25: profiles.a.default: expected true or false")]
#[case::list_for_value(
    "server:\n  host: [a, b]\n",
    "2:9: server.host: expected a single value; found a list or keys with values"
)]
#[case::keys_for_value(
    "server:\n  port:\n    tcp: 1\n",
    "3:5: server.port: expected a whole number from 0 to 65535; found map"
)]
#[case::value_for_keys("server: 8642\n", "1:9: server: expected keys with values")]
#[case::value_for_list("server:\n  allowed_hosts: a\n", "2:18: server.allowed_hosts: expected a list")]
#[case::nothing_for_text("log:\n  filter:\n", "2:9: log.filter: expected a text; found nothing")]
#[case::list_for_document("- server\n", "1:1: expected keys with values")]
#[case::no_yaml("server: {port: 1\n", "1:9: server: unclosed bracket '{'")]
#[case::two_documents("log: {}\n---\nlog: {}\n", "3:1: expected one YAML document; a second one begins here")]
#[case::duration_without_unit(
    "server:\n  keepalive: 10\n",
    "2:14: server.keepalive: expected a duration such as 500ms, 30s, 10m or 2h, at most 8760h; found `10`"
)]
#[case::size_with_wrong_unit(
    "server: {body_limit: 20MB}\n",
    "1:22: server.body_limit: expected a size such as 32KiB, 20MiB, 1GiB or a number of bytes; found `20MB`"
)]
#[case::no_choice(
    "server: {unknown_model: ignore}\n",
    "1:25: server.unknown_model: expected one of refuse, default; found `ignore`"
)]
#[case::zero("server: {keepalive: 0s}\n", "1:10: server.keepalive: expected more than 0")]
#[case::plain_key_for_hash(
    "auth:\n  keys:\n    - {name: a, hash: nk-0123}\n",
    "3:23: auth.keys[0].hash: expected `sha256:` and 64 hex digits, as `nuncio key new NAME` prints them"
)]
#[case::host_with_port(
    "server: {host: 'localhost:80'}\n",
    "1:10: server.host: expected an IP address or a host name, without scheme or port; found `localhost:80`"
)]
#[case::any_origin(
    "server: {cors_origins: ['*']}\n",
    "1:25: server.cors_origins[0]: expected each origin by name; `*` would let every web page in"
)]
#[case::origin_with_path(
    "server: {cors_origins: ['https://a.org:443/']}\n",
    "1:25: server.cors_origins[0]: expected an origin as browsers send it: `https://a.org`; found `https://a.org:443/`"
)]
#[case::no_base_url(
    "upstreams: {a: {model: m}}\n",
    "1:13: upstreams.a.base_url: expected an http or https URL such as https://api.openai.com/v1; found nothing"
)]
#[case::base_url_of_the_route(
    "upstreams: {a: {model: m, base_url: 'http://h/v1/chat/completions'}}\n",
    "1:27: upstreams.a.base_url: expected an http or https URL such as https://api.openai.com/v1, up to what comes before /chat/completions; found `http://h/v1/chat/completions`"
)]
#[case::key_in_url(
    "upstreams: {a: {model: m, base_url: 'http://u:p@h/v1'}}\n",
    "1:27: upstreams.a.base_url: expected a URL without user and password; a key belongs in `api_key`"
)]
#[case::key_variable_unset(
    "upstreams: {a: {model: m, base_url: 'http://h/v1', api_key_env: NO_SUCH}}\n",
    "1:52: upstreams.a.api_key_env: expected the name of a variable that is set, not the key itself"
)]
#[case::key_that_no_header_carries(
    "upstreams: {a: {model: m, base_url: 'http://h/v1', api_key: \"se\\ncret\"}}\n",
    "1:52: upstreams.a.api_key: expected a key of visible ASCII characters; a header carries no others"
)]
#[case::own_header(
    "upstreams: {a: {model: m, base_url: 'http://h/v1', headers: {Host: x}}}\n",
    "1:62: upstreams.a.headers.Host: expected another header; the request sets this one itself"
)]
#[case::rehearsal_with_url(
    "upstreams: {a: {kind: rehearsal, base_url: 'http://h'}}\n",
    "1:34: upstreams.a.base_url: expected nothing: kind rehearsal calls no one"
)]
#[case::rehearsal_with_a_format(
    "upstreams: {a: {kind: rehearsal, structured_output: enforced}}\n",
    "1:34: upstreams.a.structured_output: expected nothing: kind rehearsal calls no one"
)]
#[case::allowed_what_is_none(
    "tools: {fetch_url: {allow: [10.0.0.0/8, 'http://a']}}\n",
    "1:41: tools.fetch_url.allow[1]: expected a host name, an address, or a network such as 10.0.0.0/8; found `http://a`"
)]
#[case::search_without_a_provider(
    "tools: {web_search: {max_results: 5}}\n",
    "1:9: tools.web_search.provider: expected searxng, brave or tavily"
)]
#[case::search_at_no_address(
    "tools: {web_search: {provider: searxng}}\n",
    "1:9: tools.web_search.base_url: expected the address of your SearXNG, such as http://127.0.0.1:8888"
)]
#[case::search_without_a_key(
    "tools: {web_search: {provider: brave}}\n",
    "1:9: tools.web_search.api_key_env: expected the variable that holds the key of the service"
)]
#[case::search_with_an_unset_key(
    "tools: {web_search: {provider: tavily, api_key_env: tvly-123}}\n",
    "1:40: tools.web_search.api_key_env: expected the name of a variable that is set, not the key itself"
)]
#[case::search_with_a_key_in_the_address(
    "tools: {web_search: {provider: searxng, base_url: 'http://u:p@h'}}\n",
    "1:41: tools.web_search.base_url: expected an http or https URL such as http://127.0.0.1:8888, without user, password and query"
)]
#[case::search_that_is_not_set_up(
    "profiles:\n  p:\n    tools: [terminal, web_search]\n",
    "3:23: profiles.p.tools[1]: expected `tools.web_search` to be set, as web_search needs a provider; found none"
)]
#[case::unknown_upstream(
    "upstreams: {a: {kind: rehearsal}, b: {kind: rehearsal}}\nprofiles: {p: {upstream: c}}\n",
    "2:16: profiles.p.upstream: expected one of a, b; found `c`"
)]
#[case::no_upstream_to_name(
    "profiles:\n  gpt-4.1: {upstream: c}\n",
    "2:13: profiles.\"gpt-4.1\".upstream: expected one of (there is none); found `c`"
)]
#[case::unclear_upstream(
    "upstreams: {a: {kind: rehearsal}, b: {kind: rehearsal}}\nprofiles: {p: {}}\n",
    "2:12: profiles.p.upstream: expected one of a, b; found none"
)]
#[case::no_model(
    "upstreams: {a: {base_url: 'http://h/v1'}}\nprofiles: {p: {fallbacks: [{upstream: a}]}}\n",
    "2:12: profiles.p.model: expected a model name, here or as upstreams.a.model; found none"
)]
#[case::unknown_upstream_of_a_fallback(
    "upstreams: {a: {kind: rehearsal}}\nprofiles: {p: {fallbacks: [{upstream: c}]}}\n",
    "2:29: profiles.p.fallbacks[0].upstream: expected one of a; found `c`"
)]
#[case::empty_fallback(
    "upstreams: {a: {kind: rehearsal}}\nprofiles: {p: {fallbacks: [{}]}}\n",
    "2:28: profiles.p.fallbacks[0]: expected `upstream`, `model` or both"
)]
#[case::no_window(
    "upstreams: {a: {kind: rehearsal}}\nprofiles: {p: {context_window: 0}}\n",
    "2:16: profiles.p.context_window: expected more than 0"
)]
#[case::unknown_tool(
    "profiles:\n  p:\n    tools: [terminal, browser]\n",
    "3:23: profiles.p.tools[1]: expected one of delegate, read_file, skill, terminal, web_search; found `browser`"
)]
#[case::unknown_delegate(
    "profiles:\n  p:\n    delegates: [p, q]\n",
    "3:20: profiles.p.delegates[1]: expected one of p; found `q`"
)]
#[case::delegate_twice(
    "profiles:\n  p:\n    delegates: [p, p]\n",
    "3:20: profiles.p.delegates[1]: expected each profile once; found `p` again"
)]
#[case::delegates_without_the_tool(
    "profiles:\n  p:\n    tools: [terminal]\n    delegates: [p]\n",
    "3:5: profiles.p.tools: expected `delegate` among them, as there are `delegates`"
)]
#[case::no_delegates_for_the_tool(
    "profiles:\n  p:\n    tools: [delegate]\n",
    "2:3: profiles.p.delegates: expected a profile to delegate to, as `tools` lists `delegate`"
)]
#[case::no_delegates_at_once(
    "profiles:\n  p:\n    limits: {delegate_at_once: 65}\n",
    "3:14: profiles.p.limits.delegate_at_once: expected 1 to 64"
)]
#[case::unknown_tool_of_a_server(
    "mcp_servers: {files: {command: x}}\nprofiles: {p: {tools: [terminal, file__read]}}\n",
    "2:34: profiles.p.tools[1]: expected one of delegate, read_file, skill, terminal, web_search, or SERVER__TOOL with one of mcp_servers; found `file__read`"
)]
#[case::unknown_server(
    "mcp_servers: {files: {command: x}}\nprofiles: {p: {mcp: [tickets]}}\n",
    "2:22: profiles.p.mcp[0]: expected one of files; found `tickets`"
)]
#[case::servers_with_a_port(
    "profiles: {p: {mcp_requests: {allow: ['h:80/x']}}}\n",
    "1:39: profiles.p.mcp_requests.allow[0]: expected a host such as mcp.example.org, *.example.org or *, without port and path"
)]
#[case::server_of_neither_kind(
    "mcp_servers: {a: {args: [x]}}\n",
    "1:15: mcp_servers.a: expected `command`, a program to start, or `url`, an address"
)]
#[case::server_of_both_kinds(
    "mcp_servers: {a: {command: x, url: 'http://h'}}\n",
    "1:31: mcp_servers.a.url: expected either `command` or `url`; found both"
)]
#[case::server_with_a_password(
    "mcp_servers: {a: {url: 'http://u:p@h/mcp', args: [x]}}\n",
    "1:19: mcp_servers.a.url: expected a URL without user and password; a token belongs in `bearer_token_env`\n\
     config.yaml:1:44: mcp_servers.a.args: expected nothing: it goes with `command`"
)]
#[case::server_with_two_tokens(
    "mcp_servers: {a: {url: 'http://h/mcp', headers: {authorization: x}, bearer_token_env: HOME}}\n",
    "1:50: mcp_servers.a.headers.authorization: expected this or `bearer_token_env`: both are the same header"
)]
#[case::server_with_an_unset_variable(
    "mcp_servers: {a: {command: x, pass_env: [HOME, UNSET], bearer_token_env: HOME}}\n",
    "1:48: mcp_servers.a.pass_env[1]: expected the name of a variable that is set, not its value\n\
     config.yaml:1:56: mcp_servers.a.bearer_token_env: expected nothing: it goes with `url`"
)]
#[case::a_tool_without_what_it_is_for(
    "skills: {paths: [s]}\nprofiles:\n  p:\n    skills: []\n    tools: [terminal, skill]\n",
    "5:23: profiles.p.tools[1]: expected a folder in `skills.paths` or profiles.p.skills as well: without one `skill` has nothing to open"
)]
#[case::a_memory_without_room(
    "tools: {memory: {max_size: 100}}\n",
    "1:18: tools.memory.max_size: expected 256 bytes to 1MiB: every prompt has all of it"
)]
#[case::tools_by_another_word(
    "profiles:\n  p:\n    tools: some\n",
    "3:5: profiles.p.tools: expected `all` or a list of tool names; found string \"some\""
)]
#[case::tools_as_keys(
    "profiles:\n  p:\n    tools: {terminal: true}\n",
    "3:12: profiles.p.tools: expected `all` or a list of tool names; found map"
)]
#[case::sampling_that_is_not(
    "profiles: {p: {sampling: {temperature: 1, stream: true}}}\n",
    "1:43: profiles.p.sampling.stream: expected a parameter of the model, such as temperature; each run sets this one itself"
)]
#[case::two_defaults(
    "profiles:\n  p: {default: true}\n  q: {default: true}\n",
    "3:7: profiles.q.default: expected one default profile; an earlier one is marked too"
)]
#[case::home_of_another("data_dir: ~bob/x\n", "1:1: data_dir: expected a full path; found `~bob`")]
#[case::misspelled_level(
    "log: {filter: inof}\n",
    "1:7: log.filter: expected a level (off, error, warn, info, debug, trace) or target=level pairs, such as info,nuncio=debug; found `inof`"
)]
#[case::too_deep(&format!("log: {}", "[".repeat(40)), "1:6: log: expected keys with values")]
#[case::too_deep_where_anything_goes(&format!("profiles:\n  p:\n    sampling:\n      a: {}{}", "[".repeat(40), "]".repeat(40)), &format!("4:38: profiles.p.sampling.a{}: expected at most 32 levels of nesting", "[0]".repeat(28)))]
#[case::mistake_behind_an_alias(
    "server: {keepalive: &t 5}\ntools: {terminal: {max_time: *t}}\n",
    "1:24: server.keepalive: expected a duration such as 500ms, 30s, 10m or 2h, at most 8760h; found `5`"
)]
#[case::alias_of_nothing("log: {filter: *x}\n", "1:15: log.filter: alias references unknown anchor")]
#[case::tag("log: {filter: !env X}\n", "1:20: log.filter: unsupported tag `!env`")]
#[case::relative_shell(
    "tools: {terminal: {shell: bash}}\n",
    "1:20: tools.terminal.shell: expected an absolute path such as /bin/sh"
)]
#[case::shell_that_is_no_program(
    "tools: {terminal: {shell: /etc/passwd}}\n",
    "1:20: tools.terminal.shell: expected a program that is on this machine and can be run"
)]
#[case::sandbox_as_root(
    "sandbox:\n  user: root\n",
    "2:3: sandbox.user: expected a user that is not root, by name or number"
)]
#[case::sandbox_without_processes(
    "sandbox: {processes: 1}\n",
    "1:11: sandbox.processes: expected at least 4, or no script runs"
)]
#[case::sandbox_of_no_level(
    "profiles: {p: {sandbox: loose}}\n",
    "1:25: profiles.p.sandbox: expected one of off, workspace, strict; found `loose`"
)]
#[case::strict_with_a_network(
    "profiles: {p: {sandbox: strict, network: all}}\n",
    "1:33: profiles.p.network: expected none or loopback, as `sandbox: strict` has no other network"
)]
#[case::off_with_a_wall(
    "profiles: {p: {sandbox: off, network: none}}\n",
    "1:30: profiles.p.network: expected all, as `sandbox: off` keeps nothing back"
)]
#[case::the_whole_system(
    "profiles:\n  p:\n    write: [a, /]\n",
    "3:16: profiles.p.write[1]: expected a folder or file; the whole system is what `sandbox: off` is for"
)]
fn a_bad_file_is_told_by_line_key_and_expectation(#[case] yaml: &str, #[case] expected: &str) {
    assert_eq!(Machine::with_yaml(yaml).error(), format!("config.yaml:{expected}"));
}

#[rstest]
#[case::port(&[("API_SERVER_PORT", "http")], "API_SERVER_PORT: expected a whole number from 0 to 65535; found `http`")]
#[case::host(&[("API_SERVER_HOST", "0.0.0.0")], "API_SERVER_HOST: 0.0.0.0 can be reached from other machines and there is no key, so anyone there could run commands on this one; add a key (`nuncio key new NAME`, or API_SERVER_KEY) or listen on 127.0.0.1")]
#[case::key(&[("API_SERVER_KEY", "very secret")], "API_SERVER_KEY: expected a key of visible ASCII characters; a header carries no others")]
#[case::origin(&[("API_SERVER_CORS_ORIGINS", "http://a, b")], "API_SERVER_CORS_ORIGINS: expected an origin such as https://chat.example.org; found `b`")]
#[case::model_name(&[("API_SERVER_MODEL_NAME", " a")], "API_SERVER_MODEL_NAME: expected a model id of 1 to 128 bytes, no control characters, no space at its ends; found ` a`")]
#[case::filter(&[("NUNCIO_LOG", "nuncio=loud")], "NUNCIO_LOG: expected a level (off, error, warn, info, debug, trace) or target=level pairs, such as info,nuncio=debug; found `nuncio=loud`")]
#[case::folder(&[("NUNCIO_DATA_DIR", "~bob")], "NUNCIO_DATA_DIR: expected a full path; found `~bob`")]
#[case::config(&[("NUNCIO_CONFIG", "gone.yaml")], "gone.yaml: cannot be read: No such file or directory (os error 2)")]
#[case::upstream_url(&[("NUNCIO_UPSTREAM_BASE_URL", "localhost:1"), ("NUNCIO_UPSTREAM_MODEL", "m")], "NUNCIO_UPSTREAM_BASE_URL: expected an http or https URL such as https://api.openai.com/v1")]
#[case::upstream_without_model(&[("NUNCIO_UPSTREAM_BASE_URL", "http://h/v1")], "profiles.nuncio.model: expected a model name, here or as upstreams.default.model or NUNCIO_UPSTREAM_MODEL; found none")]
#[case::upstream_key_alone(&[("NUNCIO_UPSTREAM_API_KEY", "k")], "NUNCIO_UPSTREAM_API_KEY: expected NUNCIO_UPSTREAM_BASE_URL beside it; found it alone")]
#[case::openai_url(&[("OPENAI_API_KEY", "k"), ("OPENAI_BASE_URL", "ftp://h"), ("NUNCIO_UPSTREAM_MODEL", "m")], "OPENAI_BASE_URL: expected an http or https URL such as https://api.openai.com/v1")]
#[case::no_home(&[("HOME", "")], "data_dir: expected a folder: set NUNCIO_DATA_DIR, --data-dir or HOME")]
fn a_bad_variable_is_told_by_name(#[case] variables: &[(&str, &str)], #[case] expected: &str) {
    assert_eq!(Machine::new().vars(variables).error(), expected);
}

/// To take one for unset would, with the first, open the door.
#[rstest]
fn a_variable_that_is_no_text_is_refused_by_name(
    #[values(
        "API_SERVER_KEY",
        "API_SERVER_HOST",
        "API_SERVER_MODEL_NAME",
        "NUNCIO_UPSTREAM_BASE_URL",
        "NUNCIO_UPSTREAM_MODEL",
        "OPENAI_API_KEY",
        "NUNCIO_DATA_DIR"
    )]
    name: &str,
) {
    let expected = if name == "NUNCIO_DATA_DIR" { "a path in UTF-8" } else { "UTF-8 text" };
    let error = Machine::new().var(name, OsStr::from_bytes(b"\xff-hush")).error();
    assert_eq!(error, format!("{name}: expected {expected}"));
}

#[test]
fn a_key_elsewhere_that_is_no_text_is_refused() {
    let yaml = "upstreams: {a: {model: m, base_url: 'http://h/v1', api_key_env: KEY}}\n";
    let error = Machine::with_yaml(yaml).var("KEY", OsStr::from_bytes(b"\xff-hush")).error();
    assert_eq!(
        error,
        "config.yaml:1:52: upstreams.a.api_key_env: expected UTF-8 text in the variable; found other bytes"
    );
}

#[test]
fn a_bad_flag_is_told_by_name_and_all_problems_at_once() {
    let flags = Flags { host: Some("a b".into()), data_dir: Some("".into()), ..Flags::default() };
    let yaml = "store: {max_sessions: 0}\nauth: {keys: [{name: a b, hash: 'sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'}]}\n";
    let expected = "\
        --data-dir: expected a path; found nothing\n\
        --host: expected an IP address or a host name, without scheme or port; found `a b`\n\
        config.yaml:2:16: auth.keys[0].name: expected 1 to 64 of A-Z a-z 0-9 . _ -; found `a b`\n\
        config.yaml:1:9: store.max_sessions: expected more than 0";
    assert_eq!(Machine::with_yaml(yaml).flags(flags).error(), expected);
}

#[test]
fn one_key_cannot_be_two_principals() {
    let yaml =
        "auth: {keys: [{name: a, hash: 'sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'}]}\n";
    let expected =
        "API_SERVER_KEY: expected a key of its own; an earlier name has the same, so it would be unclear who calls";
    assert_eq!(Machine::with_yaml(yaml).var("API_SERVER_KEY", "abc").error(), expected);
}

#[test]
fn a_file_that_is_no_text_or_too_large_is_refused() {
    let machine = Machine::new();
    fs::write(machine.path().join("config.yaml"), b"log: {}\n\xff").unwrap();
    assert_eq!(machine.error(), "config.yaml:2:1: expected UTF-8 text");

    let large = format!("#{}\n", "x".repeat(1 << 20));
    let expected = "config.yaml: cannot be read: larger than 1MiB, so hardly a configuration";
    assert_eq!(Machine::with_yaml(&large).error(), expected);
}

/// Whoever opened a pipe would wait for its writer for ever.
#[test]
fn a_pipe_is_no_configuration() {
    let machine = Machine::new();
    rustix::fs::mkfifoat(rustix::fs::CWD, machine.path().join("config.yaml"), 0o600.into()).unwrap();
    assert_eq!(machine.error(), "config.yaml: cannot be read: not a regular file");
}

#[test]
fn flags_win_over_variables_over_the_file_over_defaults() {
    let yaml = "server: {host: '::1', port: 1, keepalive: 1s}\nlog: {filter: warn, format: text}\n";
    let flags = Flags { port: Some(3), log_format: Some(Format::Json), ..Flags::default() };
    let machine = Machine::with_yaml(yaml)
        .vars(&[("API_SERVER_PORT", "2"), ("API_SERVER_HOST", "localhost"), ("NUNCIO_LOG", "debug")])
        .flags(flags);
    let config = machine.load();

    let mut server = Server { host: "localhost".into(), port: 3, ..Server::default() };
    server.keepalive = std::time::Duration::from_secs(1);
    assert_eq!(debug(&config.server), debug(&server));
    assert_eq!(config.log, Log { filter: "debug".into(), format: Format::Json });
}

#[test]
fn the_file_is_the_flag_or_the_variable_or_the_near_or_the_far_one() {
    let all = || {
        ["flag.yaml", "variable.yaml", "config.yaml", "xdg/nuncio/config.yaml"]
            .iter()
            .enumerate()
            .fold(Machine::new(), |machine, (port, name)| machine.file(name, &format!("server: {{port: {port}}}\n")))
    };
    let found = |machine: &Machine| {
        let loaded = machine.try_load().unwrap();
        let file = loaded.file.unwrap();
        (loaded.config.server.port, file.strip_prefix(machine.path()).unwrap().display().to_string())
    };
    let flags = Flags { config: Some("flag.yaml".into()), ..Flags::default() };
    let flagged = all().var("NUNCIO_CONFIG", "variable.yaml").flags(flags);
    assert_eq!(found(&flagged), (0, "flag.yaml".into()));
    assert_eq!(found(&all().var("NUNCIO_CONFIG", "variable.yaml")), (1, "variable.yaml".into()));
    assert_eq!(found(&all()), (2, "config.yaml".into()));

    let far = all();
    fs::remove_file(far.path().join("config.yaml")).unwrap();
    let xdg = far.path().join("xdg").display().to_string();
    assert_eq!(found(&far.var("XDG_CONFIG_HOME", &xdg)), (3, "xdg/nuncio/config.yaml".into()));

    let home = Machine::new().file(".config/nuncio/config.yaml", "server: {port: 4}\n");
    let path = home.path().display().to_string();
    assert_eq!(found(&home.var("HOME", &path)), (4, ".config/nuncio/config.yaml".into()));
    assert_eq!(Machine::new().try_load().unwrap().file, None);
}

#[test]
fn folders_become_absolute_where_they_are_written() {
    let data_dir = |machine: Machine| machine.load().data_dir;
    assert_eq!(data_dir(Machine::new()), Path::new("/home/ada/.local/share/nuncio"));
    assert_eq!(data_dir(Machine::new().var("XDG_DATA_HOME", "/data")), Path::new("/data/nuncio"));
    assert_eq!(data_dir(Machine::new().var("XDG_DATA_HOME", "relative")), Path::new("/home/ada/.local/share/nuncio"));
    assert_eq!(data_dir(Machine::with_yaml("data_dir: ~/d\n")), Path::new("/home/ada/d"));

    let yaml = "data_dir: d\nprofiles: {p: {workspace: w, skills: [s]}, q: {}}\nskills: {paths: [a, ~/b]}\n";
    let machine = Machine::new().file("etc/nuncio.yaml", yaml).var("NUNCIO_CONFIG", "etc/nuncio.yaml");
    let config = machine.load();
    assert_eq!(config.data_dir, machine.path().join("etc/d"));
    assert_eq!(config.profiles["p"].workspace, Some(machine.path().join("etc/w")));
    assert_eq!(config.profiles["p"].skills(&config.skills), [machine.path().join("etc/s")]);
    let common = [machine.path().join("etc/a"), "/home/ada/b".into()];
    assert_eq!(config.profiles["q"].skills(&config.skills), common);

    let machine = machine.var("NUNCIO_DATA_DIR", "v");
    assert_eq!(machine.load().data_dir, machine.path().join("v"));
}

#[rstest]
#[case("127.0.0.1", true)]
#[case("127.8.0.1", true)]
#[case("::1", true)]
#[case("[::1]", true)]
#[case("::ffff:127.0.0.1", true)]
#[case("localhost", true)]
#[case("LocalHost", true)]
#[case("0.0.0.0", false)]
#[case("::", false)]
#[case("192.168.0.2", false)]
#[case("nuncio.lan", false)]
#[case("localhost.example.org", false)]
fn only_loopback_may_be_open(#[case] host: &str, #[case] loopback: bool) {
    let open = Machine::new().var("API_SERVER_HOST", host);
    assert_eq!(open.try_load().is_ok(), loopback);
    let config = open.var("API_SERVER_KEY", "k").load();
    assert_eq!(config.server.is_loopback(), loopback);
}

#[test]
fn a_plain_key_takes_the_place_of_the_files_and_no_secret_is_printed() {
    let yaml = "auth:\n  keys:\n    - {name: default, hash: 'sha256:0000000000000000000000000000000000000000000000000000000000000000', max_runs: 1}\nupstreams:\n  a: {base_url: 'https://h/v1/', model: m, api_key: hush-1, headers: {X-Key: hush-2}}\n  b: {base_url: 'https://h', api_key_env: KEY_OF_B}\n  default: {kind: rehearsal}\n";
    let machine = Machine::with_yaml(yaml).vars(&[("API_SERVER_KEY", "hush-0"), ("KEY_OF_B", "hush-3")]);
    let loaded = machine.try_load().unwrap();
    let config = &loaded.config;

    let key = auth::Key {
        name: "default".into(),
        hash: auth::KeyHash::of("hush-0"),
        max_runs: Some(1),
        trusted_frontend: false,
    };
    assert_eq!(config.auth.keys, [key]);
    assert_eq!(config.upstreams["b"].api_key.as_ref().unwrap().expose_secret(), "hush-3");
    assert_eq!(config.upstreams["a"].base_url.as_deref(), Some("https://h/v1"));

    let shown = format!("{loaded:?}\n{}", config.summary().join("\n"));
    assert!(!shown.contains("hush"), "{shown}");
    assert_eq!(
        config.summary(),
        [
            "listen    127.0.0.1:8642",
            "keys      default",
            "data      /home/ada/.local/share/nuncio",
            "store     /home/ada/.local/share/nuncio/nuncio.db, up to 10000 responses",
            "log       info, as text",
            "upstream  a: https://h/v1, with a key",
            "upstream  b: https://h, key from KEY_OF_B",
            "upstream  default: rehearsal, built in, no language model",
            "profile   nuncio (default): rehearsal at default; all tools; at most 50 steps, 30m",
        ]
    );
}

#[test]
fn a_store_is_where_its_file_says_or_in_the_data_folder_or_nowhere() {
    let database = |yaml: &str| {
        let machine = Machine::with_yaml(yaml);
        let config = machine.load();
        let path = config.store.database(&config.data_dir);
        (path.map(|path| path.strip_prefix(machine.path()).map(Path::to_owned)), config.summary()[3].clone())
    };
    let said = "store     /data/nuncio.db, up to 10000 responses".to_owned();
    assert_eq!(database("data_dir: /data").1, said);
    assert_eq!(database("store: {path: kept/n.db}").0, Some(Ok("kept/n.db".into())));
    assert_eq!(database("store: {kind: memory}"), (None, "store     memory, gone at the end".to_owned()));
    let said = "store     /n.db, up to 7 responses, unused for 100h at most".to_owned();
    assert_eq!(database("store: {path: /n.db, max_responses: 7, max_age: 100h}").1, said);

    let yaml = "store: {kind: memory, path: n.db, max_responses: 0, max_bytes: 0, max_age: 0s}";
    let expected = "\
        config.yaml:1:35: store.max_responses: expected more than 0\n\
        config.yaml:1:53: store.max_bytes: expected more than 0\n\
        config.yaml:1:67: store.max_age: expected more than 0\n\
        config.yaml:1:23: store.path: expected none, as `kind: memory` has no file";
    assert_eq!(Machine::with_yaml(yaml).error(), expected);
}

#[test]
fn fallbacks_are_asked_in_order_and_fill_in_what_they_leave_out() {
    let yaml = "
upstreams:
  near: {base_url: 'http://a/v1', model: small}
  far: {base_url: 'http://b/v1', model: large}
profiles:
  p: {upstream: near, model: medium, tools: [terminal], fallbacks: [{model: tiny}, {upstream: far}, {upstream: far, model: huge}]}
";
    let config = Machine::with_yaml(yaml).load();
    let profile = &config.profiles["p"];
    let expected = [("near", "medium"), ("near", "tiny"), ("far", "large"), ("far", "huge")];
    let target = |(upstream, model): (&str, &str)| Target { upstream: upstream.into(), model: model.into() };
    assert_eq!(profile.targets(&config.upstreams), Ok(expected.map(target).to_vec()));
    assert_eq!(profile.tools, AllowedTools::Only(vec!["terminal".into()]));
}

#[rstest]
#[case::marked("profiles: {b: {}, a: {default: true}}\n", "a")]
#[case::first_in_the_file("profiles:\n  b: {}\n  a: {}\n", "b")]
#[case::built_in("log: {}\n", "nuncio")]
fn one_profile_is_the_default_and_can_be_renamed(#[case] yaml: &str, #[case] id: &str) {
    let plain = Machine::with_yaml(yaml);
    assert_eq!(plain.load().default_profile().unwrap().0, id);

    let renamed = plain.var("API_SERVER_MODEL_NAME", "Hermes 4").load();
    assert_eq!(renamed.default_profile().unwrap().0, "Hermes 4");
    assert!(!renamed.profiles.contains_key(id));
}

#[test]
fn who_delegates_to_a_profile_does_so_under_its_new_name() {
    let machine = Machine::with_yaml("profiles:\n  a: {delegates: [b, a]}\n  b: {delegates: [a]}\n");
    let profiles = machine.var("API_SERVER_MODEL_NAME", "c").load().profiles;
    let delegates: Vec<_> = profiles.iter().map(|(id, profile)| (id.as_str(), profile.delegates.clone())).collect();
    assert_eq!(delegates, [("b", vec!["c".to_owned()]), ("c", vec!["b".to_owned(), "c".to_owned()])]);
}

#[test]
fn a_profile_cannot_take_the_name_of_another() {
    let machine = Machine::with_yaml("profiles: {a: {}, b: {}}\n").var("API_SERVER_MODEL_NAME", "b");
    assert_eq!(machine.error(), "API_SERVER_MODEL_NAME: expected a name that no other profile has; found `b`");
    machine.var("API_SERVER_MODEL_NAME", "a").load();
}

/// What is asked, where and with which key, when no upstream is configured.
fn implied(variables: &[(&str, &str)]) -> (UpstreamSource, Option<[Option<String>; 3]>) {
    let loaded = Machine::new().vars(variables).try_load().unwrap();
    let upstream = loaded.config.upstreams.get("default").map(|upstream| {
        let key = upstream.api_key.as_ref().map(|key| key.expose_secret().to_owned());
        [upstream.base_url.clone(), key, upstream.model.clone()]
    });
    (loaded.upstream_source, upstream)
}

#[test]
fn the_environment_implies_an_upstream_ours_before_openai_before_openrouter() {
    let by = |variable| UpstreamSource::Environment { variable };
    let asked = |all: [&str; 3]| Some(all.map(|text| (!text.is_empty()).then(|| text.to_owned())));
    let (router, openai) = (("OPENROUTER_API_KEY", "r"), ("OPENAI_API_KEY", "o"));
    let ours = ("NUNCIO_UPSTREAM_BASE_URL", "http://h/v1/");
    let model = ("NUNCIO_UPSTREAM_MODEL", "m");

    let openrouter = asked(["https://openrouter.ai/api/v1", "r", "openai/gpt-5.4-mini"]);
    assert_eq!(implied(&[router]), (by("OPENROUTER_API_KEY"), openrouter));
    let official = asked(["https://api.openai.com/v1", "o", "gpt-5.4-mini"]);
    assert_eq!(implied(&[router, openai]), (by("OPENAI_API_KEY"), official));
    let compatible = asked(["http://o/v1", "o", "m"]);
    assert_eq!(implied(&[openai, model, ("OPENAI_BASE_URL", "http://o/v1")]), (by("OPENAI_API_KEY"), compatible));
    let own = asked(["http://h/v1", "", "m"]);
    assert_eq!(implied(&[router, openai, ours, model]), (by("NUNCIO_UPSTREAM_BASE_URL"), own));

    assert_eq!(implied(&[]), (UpstreamSource::Nowhere { model: None }, None));
    assert_eq!(implied(&[model]), (UpstreamSource::Nowhere { model: Some("m".into()) }, None));
}

#[test]
fn beside_configured_upstreams_the_environment_changes_the_one_called_default() {
    let yaml = "upstreams: {a: {kind: rehearsal}}\nprofiles: {p: {}}\n";
    let ours = [("NUNCIO_UPSTREAM_BASE_URL", "http://h/v1"), ("NUNCIO_UPSTREAM_MODEL", "m")];
    let target = |machine: Machine| {
        let config = machine.load();
        let targets = config.profiles["p"].targets(&config.upstreams).unwrap();
        (targets[0].upstream.clone(), targets[0].model.clone())
    };
    assert_eq!(target(Machine::with_yaml(yaml).var("OPENAI_API_KEY", "o")), ("a".into(), "rehearsal".into()));
    assert_eq!(target(Machine::with_yaml(yaml).vars(&ours)), ("default".into(), "m".into()));

    let error = Machine::with_yaml(yaml).var("NUNCIO_UPSTREAM_MODEL", "m").error();
    let expected = "NUNCIO_UPSTREAM_MODEL: expected NUNCIO_UPSTREAM_BASE_URL beside it, or an upstream named `default` in the file";
    assert_eq!(error, expected);

    let yaml = "upstreams: {default: {base_url: 'http://f/v1', model: f, api_key_env: UNSET}}\n";
    let config = Machine::with_yaml(yaml).var("NUNCIO_UPSTREAM_API_KEY", "k").load();
    let upstream = &config.upstreams["default"];
    assert_eq!((upstream.base_url.as_deref(), upstream.model.as_deref()), (Some("http://f/v1"), Some("f")));
    assert_eq!(upstream.api_key.as_ref().unwrap().expose_secret(), "k");
}

#[test]
fn paths_of_the_sandbox_start_at_the_file_or_at_home() {
    let machine =
        Machine::with_yaml("profiles: {p: {sandbox: workspace, read: [~/.cargo, tools], write: [/srv/out]}}\n");
    let profile = &machine.load().profiles["p"];
    assert_eq!(profile.read, [PathBuf::from("/home/ada/.cargo"), machine.path().join("tools")]);
    assert_eq!(profile.write, [PathBuf::from("/srv/out")]);
    let of = |yaml: &str| Machine::with_yaml(yaml).load().profiles["p"].reach().network();
    assert_eq!(of("profiles: {p: {}}\n"), Network::All);
    assert_eq!(of("profiles: {p: {sandbox: strict}}\n"), Network::None);
    assert_eq!(of("profiles: {p: {sandbox: off}}\n"), Network::All);
}

#[test]
fn the_example_says_the_defaults() {
    let (example, defaults) = (Machine::with_yaml(EXAMPLE).load(), Machine::new().load());
    assert_eq!(debug(&example), debug(&defaults));
    assert_eq!(debug(&defaults.server), debug(&Server::default()));
    assert_eq!(debug(&defaults.tools), debug(&Tools::default()));
    assert_eq!(debug(&defaults.profiles["nuncio"]), debug(&Profile { default: true, ..Profile::default() }));
    assert_eq!(defaults.sandbox, Sandbox::default());
    assert_eq!((defaults.store, defaults.log), (Store::default(), Log::default()));
    assert_eq!(defaults.skills, Skills::default());
}

/// The example with its `#key: value` lines switched on.
fn example_in_full() -> String {
    let switch_on = |line: &str| match line.split_once('#') {
        Some((indent, rest)) if indent.trim().is_empty() && !rest.starts_with([' ', '\n']) => {
            format!("{indent}{rest}")
        }
        _ => line.to_owned(),
    };
    EXAMPLE.split_inclusive('\n').map(switch_on).collect()
}

#[test]
fn the_example_in_full_is_a_configuration_whose_upstream_says_the_defaults() {
    let config = Machine::with_yaml(&example_in_full()).var("OPENAI_API_KEY", "o").var("BRAVE_API_KEY", "b").load();
    let written = &config.upstreams["default"];
    let expected = Upstream {
        base_url: Some("https://api.openai.com/v1".into()),
        api_key: Some("o".into()),
        api_key_env: Some("OPENAI_API_KEY".into()),
        model: Some("gpt-5.4-mini".into()),
        ..Upstream::default()
    };
    assert_eq!(debug(written), debug(&expected));
    let search = config.tools.web_search.unwrap();
    assert_eq!(search.api_key.as_ref().unwrap().expose_secret(), "b");
    assert_eq!((search.provider, search.max_results), (Some(SearchProvider::Brave), WebSearch::default().max_results));
}

#[test]
fn a_long_section_may_be_commented_out() {
    let yaml = format!("upstreams:\n{}profiles: {{p: {{}}}}\n", "  # a line\n".repeat(300));
    assert_eq!(Machine::with_yaml(&yaml).load().profiles.keys().collect::<Vec<_>>(), ["p"]);
}

/// The keys that a place takes, as the error for a key that is certainly not one of them lists them.
fn keys_of(yaml: &str) -> BTreeSet<String> {
    let error = Machine::with_yaml(yaml).error();
    let (_, keys) = error.split_once("expected one of ").unwrap_or_else(|| panic!("{yaml}: {error}"));
    keys.split(", ").map(str::to_owned).collect()
}

#[rstest]
#[case::root("{?: 1}", "")]
#[case::server("server: {?: 1}", "/server")]
#[case::auth("auth: {?: 1}", "/auth")]
#[case::key("auth: {keys: [{?: 1}]}", "/auth/keys/0")]
#[case::upstream("upstreams: {a: {?: 1}}", "/upstreams/default")]
#[case::profile("profiles: {a: {?: 1}}", "/profiles/nuncio")]
#[case::fallback("profiles: {a: {fallbacks: [{?: 1}]}}", "/profiles/nuncio/fallbacks/0")]
#[case::limits("profiles: {a: {limits: {?: 1}}}", "/profiles/nuncio/limits")]
#[case::tools("tools: {?: 1}", "/tools")]
#[case::terminal("tools: {terminal: {?: 1}}", "/tools/terminal")]
#[case::files("tools: {files: {?: 1}}", "/tools/files")]
#[case::search("tools: {search: {?: 1}}", "/tools/search")]
#[case::mcp_requests("profiles: {a: {mcp_requests: {?: 1}}}", "/profiles/nuncio/mcp_requests")]
#[case::mcp_server("mcp_servers: {a: {?: 1}}", "/mcp_servers/files")]
#[case::fetch_url("tools: {fetch_url: {?: 1}}", "/tools/fetch_url")]
#[case::web_search("tools: {web_search: {?: 1}}", "/tools/web_search")]
#[case::memory("tools: {memory: {?: 1}}", "/tools/memory")]
#[case::skills("skills: {?: 1}", "/skills")]
#[case::store("store: {?: 1}", "/store")]
#[case::log("log: {?: 1}", "/log")]
fn the_example_names_every_key(#[case] yaml: &str, #[case] pointer: &str) {
    let example: serde_json::Value = serde_saphyr::from_str(&example_in_full()).unwrap();
    let mut named: BTreeSet<String> = example.pointer(pointer).unwrap().as_object().unwrap().keys().cloned().collect();
    if ["/upstreams/default", "/tools/web_search"].contains(&pointer) {
        // Excludes `api_key_env`, so another upstream of the example shows it.
        named.insert("api_key".to_owned());
        assert!(example.pointer("/upstreams/other/api_key").is_some());
    }
    if pointer == "/mcp_servers/files" {
        // A server is either a program or an address, so another one of the example is the latter.
        named.extend(example.pointer("/mcp_servers/tickets").unwrap().as_object().unwrap().keys().cloned());
    }
    assert_eq!(named, keys_of(&yaml.replace('?', "no_such_key")));
}
