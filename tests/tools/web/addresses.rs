//! Where a URL may lead. Each of the targets below is refused before a connection is made; with the rules relaxed the
//! same URL is fetched, so that each of these tests can fail.

use super::site::{Site, Trap, ok, redirect, with};
use super::{Names, PUBLIC, fetch, settings, told};
use nuncio::web::guard::Guard;
use reqwest::dns::Resolve;
use std::sync::Arc;

/// All of this machine.
const HERE: &[&str] = &["127.0.0.1", "127.0.0.3", "::1"];

/// Ways to spell this machine, with the port as `PORT`.
const TO_HERE: &[&str] = &[
    "http://127.0.0.1:PORT/",
    "http://127.0.0.3:PORT/",
    "HTTP://127.0.0.1:PORT/",
    "http:127.0.0.1:PORT/",
    "http:///127.0.0.1:PORT/",
    "http:\\\\127.0.0.1:PORT\\",
    " http://127.0.0.1:PORT/ ",
    "http://127.0.0.1.:PORT/",
    "http://127.1:PORT/",
    "http://127.0.1:PORT/",
    "http://2130706433:PORT/",
    "http://0x7f000001:PORT/",
    "http://0X7F.1:PORT/",
    "http://0x7f.0x0.0x0.0x1:PORT/",
    "http://017700000001:PORT/",
    "http://0177.0.0.01:PORT/",
    "http://0177.0x0.0.1:PORT/",
    "http://%31%32%37.0.0.1:PORT/",
    "http://127%2e0%2e0%2e1:PORT/",
    "http://１２７.０.０.１:PORT/",
    "http://127。0。0。1:PORT/",
    "http://①②⑦.⓪.⓪.①:PORT/",
    "http://127.0.0.1:PORT#@public.test/",
    "http://127.0.0.1:PORT\\@public.test/",
    "http://127.0.0.1:PORT?@public.test/",
    "http://0:PORT/",
    "http://0.0.0.0:PORT/",
    "http://0x0:PORT/",
    "http://[::1]:PORT/",
    "http://[0:0:0:0:0:0:0:1]:PORT/",
    "http://[0000::0001]:PORT/",
    "http://[::]:PORT/",
    "http://[::ffff:127.0.0.1]:PORT/",
    "http://[::ffff:7f00:1]:PORT/",
    "http://[::FFFF:7F00:0003]:PORT/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]:PORT/",
    "http://[::ffff:0.0.0.0]:PORT/",
    "http://localhost:PORT/",
    "http://localhost.:PORT/",
    "http://LocalHost:PORT/",
    "http://ｌocalhost:PORT/",
    "http://a.localhost:PORT/",
    "http://loopback.test:PORT/",
    "http://loopback6.test:PORT/",
    "http://mapped.test:PORT/",
    "http://nowhere.test:PORT/",
    "http://127.0.0.1.loopback.test:PORT/",
    "http://mixed.test:PORT/",
    "http://mixed-late.test:PORT/",
];

/// URLs that are refused whatever the rules say.
const NEVER: &[(&str, &str)] = &[
    ("http://user@127.0.0.1:PORT/", "the URL holds a user name or password"),
    ("http://user:pass@loopback.test:PORT/", "the URL holds a user name or password"),
    ("http://public.test@127.0.0.1:PORT/", "the URL holds a user name or password"),
    ("http://public.test:80@127.0.0.1:PORT/", "the URL holds a user name or password"),
    ("http://:pass@127.0.0.1:PORT/", "the URL holds a user name or password"),
    ("http://public.test%2f@127.0.0.1:PORT/", "the URL holds a user name or password"),
    ("file:///etc/passwd", "`file:` is neither http: nor https:"),
    ("gopher://127.0.0.1:PORT/_GET", "`gopher:` is neither http: nor https:"),
    ("ftp://127.0.0.1:PORT/", "`ftp:` is neither http: nor https:"),
    ("ws://127.0.0.1:PORT/", "`ws:` is neither http: nor https:"),
    ("data:text/html,<p>x", "`data:` is neither http: nor https:"),
    ("javascript:alert(1)", "`javascript:` is neither http: nor https:"),
    ("view-source:http://127.0.0.1:PORT/", "`view-source:` is neither http: nor https:"),
    ("unix:/var/run/docker.sock", "`unix:` is neither http: nor https:"),
];

/// What is no URL at all, so that no guess is made of what it might mean.
const NONSENSE: &[&str] = &[
    "127.0.0.1:PORT",
    "//127.0.0.1:PORT/",
    "http://",
    "http://127.0.0.256:PORT/",
    "http://0x7f.0.0.0.1:PORT/",
    "http://[fe80::1%25lo]:PORT/",
    "http://[::1%lo]:PORT/",
    "http://[::ffff:127.1]:PORT/",
    "http://127.0.0.1:PORT:80/",
    "http://127.0.0.1 public.test:PORT/",
    "http://[::1:PORT/",
];

fn names() -> Names {
    Names::new(&[
        ("localhost", &[&["127.0.0.1"]]),
        ("a.localhost", &[&["127.0.0.1"]]),
        ("loopback.test", &[&["127.0.0.3"]]),
        ("127.0.0.1.loopback.test", &[&["127.0.0.1"]]),
        ("loopback6.test", &[&["::1"]]),
        ("mapped.test", &[&["::ffff:127.0.0.1"]]),
        ("nowhere.test", &[&["0.0.0.0"]]),
        // The public one of them has no server, so a client that tried both would end at the other.
        ("mixed.test", &[&["127.0.0.3", PUBLIC]]),
        ("mixed-late.test", &[&[PUBLIC, "127.0.0.3"]]),
        ("public.test", &[&[PUBLIC]]),
    ])
}

fn with_port(url: &str, port: u16) -> String {
    url.replace("PORT", &port.to_string())
}

#[tokio::test]
async fn what_leads_here_is_refused_before_a_connection_is_made() {
    let trap = Trap::at(HERE);
    let strict = settings(&[PUBLIC]);
    for url in TO_HERE {
        let told = told(fetch(&strict, &names(), &with_port(url, trap.port())).await);
        let is_told = told.starts_with("Cannot fetch: ")
            && told.ends_with(". Only public addresses can be fetched, and those that the operator allows.");
        assert!(is_told, "{url}: {told}");
        assert!(told.contains(" is a") || told.contains(" leads to a"), "{url}: {told}");
        assert_eq!(trap.caught(), 0, "{url}");
    }
}

#[tokio::test]
async fn what_is_allowed_is_reached() {
    let site = Site::at(HERE, |_| ok("text/plain", "reached")).await;
    let relaxed = settings(&["0.0.0.0/0", "::/0"]);
    for url in TO_HERE {
        let shown = fetch(&relaxed, &names(), &with_port(url, site.port)).await.unwrap();
        assert!(shown.ends_with("\n\nreached"), "{url}: {shown}");
    }
    assert_eq!(site.lines().len(), TO_HERE.len());
}

#[tokio::test]
async fn a_name_that_is_allowed_may_lead_anywhere_and_no_other_name_may() {
    let site = Site::at(HERE, |_| ok("text/plain", "reached")).await;
    let named = settings(&["loopback.test", "*.localhost"]);
    for host in ["loopback.test", "LOOPBACK.test.", "a.localhost"] {
        let shown = fetch(&named, &names(), &format!("http://{host}:{}/", site.port)).await.unwrap();
        assert!(shown.ends_with("reached"), "{host}: {shown}");
    }
    for host in ["localhost", "127.0.0.1.loopback.test", "127.0.0.3", "mixed.test"] {
        told(fetch(&named, &names(), &format!("http://{host}:{}/", site.port)).await);
    }
    assert_eq!(site.lines().len(), 3);
}

#[tokio::test]
async fn some_urls_are_refused_whatever_is_allowed() {
    let trap = Trap::at(HERE);
    let relaxed = settings(&["0.0.0.0/0", "::/0"]);
    for (url, reason) in NEVER {
        let told = told(fetch(&relaxed, &names(), &with_port(url, trap.port())).await);
        assert!(told.starts_with(&format!("Cannot fetch: {reason}. ")), "{url}: {told}");
    }
    for url in NONSENSE {
        let told = told(fetch(&relaxed, &names(), &with_port(url, trap.port())).await);
        assert!(told.contains(" is no address: "), "{url}: {told}");
    }
    assert_eq!(trap.caught(), 0);
}

/// A public page sends on to each of the above.
#[tokio::test]
async fn no_redirect_leads_where_a_url_may_not() {
    let trap = Trap::at(HERE);
    let port = trap.port();
    let targets: Vec<String> =
        TO_HERE.iter().chain(NEVER.iter().map(|(url, _)| url)).map(|url| with_port(url, port)).collect();
    // Location is ASCII as browsers send it, and a name with another letter would be another test of the parser.
    let targets: Vec<String> = targets.into_iter().filter(|url| url.is_ascii() && url.trim() == url).collect();
    assert!(targets.len() > 50);
    let there = targets.clone();
    let site = Site::at(&[PUBLIC], move |path| redirect(&there[path[1..].parse::<usize>().unwrap()])).await;
    let strict = settings(&[PUBLIC]);
    for (index, target) in targets.iter().enumerate() {
        // Without two slashes it is relative to the page, on the page's own host.
        if target.starts_with("http:127") {
            continue;
        }
        let start = format!("http://public.test:{}/{index}", site.port);
        let told = told(fetch(&strict, &names(), &start).await);
        assert!(told.starts_with("Cannot fetch: "), "{target}: {told}");
        assert_eq!(trap.caught(), 0, "{target}");
    }
    // To where it may lead, a redirect is followed.
    let site = Site::at(&[PUBLIC, "127.0.0.1"], move |path| match path {
        "/end" => ok("text/plain", "reached"),
        _ => redirect(&format!("//localhost:{}/end", path.trim_start_matches('/'))),
    });
    let site = site.await;
    let start = format!("http://public.test:{0}/{0}", site.port);
    let shown = fetch(&settings(&[PUBLIC, "127.0.0.1"]), &names(), &start).await.unwrap();
    assert!(
        shown.starts_with(&format!("http://localhost:{}/end\n", site.port)) && shown.ends_with("reached"),
        "{shown}"
    );
    let told = told(fetch(&strict, &names(), &start).await);
    assert!(told.contains("localhost leads to a loopback address"), "{told}");
}

/// Rebinding: the name has a public address when it is looked at, and another one right after.
#[tokio::test]
async fn the_address_that_was_checked_is_the_one_that_is_connected_to() {
    let public = Site::at(&[PUBLIC, "127.0.0.1"], |path| match path {
        "/again" => redirect("/page"),
        _ => ok("text/plain", "reached"),
    });
    let public = public.await;
    let rebinding = || Names::new(&[("rebind.test", &[&[PUBLIC], &["127.0.0.1"]])]);
    let url = |path: &str| format!("http://rebind.test:{}{path}", public.port);
    let strict = settings(&[PUBLIC]);

    let names = rebinding();
    let shown = fetch(&strict, &names, &url("/page")).await.unwrap();
    assert!(shown.ends_with("reached"), "{shown}");
    assert_eq!(names.asked(), ["rebind.test"], "nothing is looked up twice");
    // The next connection asks again, and gets the other answer.
    let refused = told(fetch(&strict, &names, &url("/page")).await);
    assert!(refused.contains("rebind.test leads to a loopback address"), "{refused}");

    // The same on the way of a redirect to the same host.
    let refused = told(fetch(&strict, &rebinding(), &url("/again")).await);
    assert!(refused.contains("rebind.test leads to a loopback address"), "{refused}");
    assert_eq!(public.lines(), ["GET /page HTTP/1.1", "GET /again HTTP/1.1"]);

    let relaxed = settings(&["127.0.0.0/8"]);
    let shown = fetch(&relaxed, &rebinding(), &url("/again")).await.unwrap();
    assert!(shown.ends_with("reached"), "{shown}");
}

/// Names that lead to somewhere else than here are only resolved, as nothing may be sent there.
#[tokio::test]
async fn no_other_private_address_is_handed_to_a_client() {
    let private = [
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.100.100.200",
        "192.0.0.192",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "203.0.113.1",
        "fe80::1",
        "fd00:ec2::254",
        "fec0::1",
        "ff02::1",
        "::ffff:169.254.169.254",
        "::a9fe:a9fe",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2002:a9fe:a9fe::",
        "2001:0:a::b",
        "2001:db8::1",
    ];
    for ip in private {
        let names =
            Names::new(&[("a.test", &[&[ip]]), ("b.test", &[&["8.8.8.8", ip]]), ("c.test", &[&[ip, "2a00::1"]])]);
        let guard = Guard::with_lookup(settings(&[]).rules, Arc::new(names));
        for name in ["a.test", "b.test", "c.test"] {
            let error = guard.resolve(name.parse().unwrap()).await.err().unwrap();
            assert!(error.to_string().starts_with(&format!("{name} leads to a")), "{ip}: {error}");
        }
        let url = if ip.contains(':') { format!("http://[{ip}]/") } else { format!("https://{ip}/") };
        let error = guard.check(&url.parse().unwrap()).unwrap_err();
        assert!(error.to_string().contains(" is a"), "{url}: {error}");
    }
    let names = Names::new(&[("a.test", &[&["8.8.8.8", "2a00::1"]]), ("b.test", &[&[]])]);
    let guard = Guard::with_lookup(settings(&[]).rules, Arc::new(names));
    let found: Vec<String> =
        guard.resolve("a.test".parse().unwrap()).await.unwrap().map(|a| a.ip().to_string()).collect();
    assert_eq!(found, ["8.8.8.8", "2a00::1"]);
    let error = guard.resolve("b.test".parse().unwrap()).await.err().unwrap();
    assert_eq!(error.to_string(), "b.test has no address");
}

#[tokio::test]
async fn redirects_are_followed_five_times_and_carry_nothing_along() {
    let site = Site::at(&[PUBLIC, "127.0.0.1"], |path| match path {
        "/0" => ok("text/plain", "the end"),
        "/loop" => redirect("/loop"),
        "/nowhere" => with("302 Found", "", "lost"),
        "/bad" => redirect("http://["),
        number => {
            redirect(&format!("{}?", number[1..].trim_end_matches('?').parse::<u32>().unwrap() - 1).replace("0?", "0"))
        }
    });
    let site = site.await;
    let names = Names::new(&[("public.test", &[&[PUBLIC]])]);
    let strict = settings(&[PUBLIC]);
    let url = |path: &str| format!("http://public.test:{}{path}", site.port);

    let shown = fetch(&strict, &names, &url("/5#part")).await.unwrap();
    assert!(shown.starts_with(&format!("{}#part\n200 OK, text/plain\n", url("/0"))), "{shown}");
    for head in site.heads() {
        let head = head.to_ascii_lowercase();
        for header in ["cookie", "authorization", "referer", "origin"] {
            assert!(!head.contains(&format!("{header}:")), "{head}");
        }
    }
    let cases = [
        ("/6", format!("more than 5 redirects, the last one to {}. Try another source.", url("/0"))),
        ("/loop", format!("more than 5 redirects, the last one to {}. Try another source.", url("/loop"))),
        ("/bad", format!("{} redirects to http://[, which is no URL. Try another source.", url("/bad"))),
    ];
    for (path, expected) in cases {
        assert_eq!(told(fetch(&strict, &names, &url(path)).await), format!("Cannot fetch: {expected}"));
    }
    let told = told(fetch(&strict, &names, &url("/nowhere")).await);
    assert!(told.contains(" answered 302 Found. It redirects without saying where."), "{told}");
}
