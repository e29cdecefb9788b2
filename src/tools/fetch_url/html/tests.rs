use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

fn page(html: &str) -> Page {
    to_markdown(html, &"https://site.test/docs/page?q=1".parse().unwrap(), || true).unwrap()
}

fn text(html: &str) -> String {
    page(html).text
}

#[test]
fn every_element_has_its_form() {
    let cases = [
        ("", ""),
        ("plain  \n text", "plain text"),
        ("a&amp;b &lt;i&gt;&nbsp;c", "a&b <i> c"),
        ("<p>one<p>two</p>three", "one\n\ntwo\n\nthree"),
        ("<div>a<div>b</div></div>c", "a\n\nb\n\nc"),
        ("a<br>b<br/>c", "a\nb\nc"),
        ("<h1>A</h1><h3> B <span>c</span></h3>d", "# A\n\n### B c\n\nd"),
        ("<h2></h2><p>a", "a"),
        ("x<hr>y", "x\n\n---\n\ny"),
        ("a <b>bold </b>and<i> it</i>.", "a **bold** and *it*."),
        ("<b></b>a<b> </b>b", "a b"),
        ("<b>a<p>b</b>c", "**a**\n\nbc"),
        ("run <code>ls -l</code>!", "run `ls -l`!"),
        ("<ul><li>a<li><p>b</p><p>c</p></li></ul>d", "- a\n- b\n\n  c\n\nd"),
        ("<ol start=9><li>a<li>b<ul><li>c</ul><li>d</ol>", "9. a\n10. b\n    - c\n11. d"),
        ("<li>lonely", "- lonely"),
        ("<ul><li></li><li>a</li></ul>", "- a"),
        ("<blockquote>a<p>b</blockquote>c", "> a\n>\n> b\n\nc"),
        ("x<blockquote>a<blockquote>b</blockquote>c</blockquote>", "x\n\n> a\n>\n> > b\n>\n> c"),
        ("<blockquote><ul><li>a<li>b</ul></blockquote>", "> - a\n> - b"),
        ("<dl><dt>a<dd>b<dt>c<dd>d</dl>", "a\n: b\n\nc\n: d"),
        ("<p>a</p></div></ul></blockquote></table><p>b", "a\n\nb"),
    ];
    for (html, expected) in cases {
        assert_eq!(text(html), expected, "{html}");
    }
}

#[test]
fn code_stays_as_it_is() {
    let cases = [
        ("<pre>\na\n  b &lt;\n</pre>c", "```\na\n  b <\n```\n\nc"),
        ("<pre><code class='hl language-rust'>fn <b>f</b>()\n</code></pre>", "```rust\nfn f()\n```"),
        ("<pre>a ``` b</pre>", "````\na ``` b\n````"),
        ("<ul><li>x<pre>a\nb</pre></ul>", "- x\n\n  ```\n  a\n  b\n  ```"),
        ("<pre><div>a</div><div>b</div></pre>", "```\na\nb\n```"),
        ("<pre></pre>a", "a"),
        ("<pre>never closed", "```\nnever closed\n```"),
    ];
    for (html, expected) in cases {
        assert_eq!(text(html), expected, "{html}");
    }
}

#[test]
fn links_are_whole_and_images_say_what_they_show() {
    let cases = [
        ("<a href=next>Next</a>", "[Next](https://site.test/docs/next)"),
        ("<a href='/a b(c)'>x</a>", "[x](https://site.test/a%20b%28c%29)"),
        ("<a href='//other.test/'>x</a>", "[x](https://other.test/)"),
        ("<a href='mailto:a@b.test'>x</a>", "[x](mailto:a@b.test)"),
        (
            "<a href='#top'>up</a> <a href='?q=1#x'>here</a> <a href='?q=2#x'>there</a>",
            "up here [there](https://site.test/docs/page?q=2#x)",
        ),
        ("<a href='javascript:alert(1)'>x</a> <a href='http://['>y</a> <a>z</a>", "x y z"),
        ("<a href=x></a>a<a href=y> </a>b", "a b"),
        ("<a href=x><h2>Title</h2><p>more</p></a>z", "[Title more](https://site.test/docs/x)\n\nz"),
        ("<a href=x>a <b>b</a> c", "[a **b**](https://site.test/docs/x) c"),
        ("<a href=x>a<a href=y>b", "[a](https://site.test/docs/x)[b](https://site.test/docs/y)"),
        ("<base href='https://cdn.test/v2/'><base href=/no><a href=x>x</a>", "[x](https://cdn.test/v2/x)"),
        (
            "<img src=a.png alt=' A cat '> <img src=b.png> <img alt=x src='data:,a'>",
            "![A cat](https://site.test/docs/a.png)",
        ),
        ("<a href=x><img src=a alt=b></a>", "[![b](https://site.test/docs/a)](https://site.test/docs/x)"),
    ];
    for (html, expected) in cases {
        assert_eq!(text(html), expected, "{html}");
    }
}

#[test]
fn tables_with_a_header_are_tables_and_others_are_lines() {
    let cases = [
        (
            "<table><thead><tr><th>a<th>b</thead><tr><td>1<td>x|y<tr><td><p>2</p><p>3</p><td></table>z",
            "| a | b |\n| --- | --- |\n| 1 | x\\|y |\n| 2 3 | |\n\nz",
        ),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td><td></td></tr></table>", "a | b\nc"),
        ("<table><tr><td><ul><li>a</ul><td><h2>b</h2></table>", "- a\n\n## b"),
        ("<table><tr><th>a<td><table><tr><th>b<td>c</table><td>d</table>", "| a | b c | d |\n| --- | --- | --- |"),
        ("<table><caption>C</caption><tr><th>a</table>", "C\n| a |\n| --- |"),
        ("<td>a<td>b", "ab"),
        ("<table><tr><th>never closed", "| never closed |\n| --- |"),
    ];
    for (html, expected) in cases {
        assert_eq!(text(html), expected, "{html}");
    }
}

#[test]
fn noise_is_left_out_and_the_title_is_kept() {
    let html = "<!doctype html><html><head><title> A\n title &amp; more </title><style>p{}</style>
        <script>if (a < b) { document.write('<p>no</p>') }</script></head><body><!-- no -->
        <nav><ul><li><a href=/>Home</a></ul><nav>inner</nav></nav>
        <svg><title>no</title><style/><text>no</text></svg><p>yes</p><noscript>yes, too</noscript>
        <form><select><option>no</select><textarea>no</textarea><button>no</button>label</form>
        <iframe><p>no</iframe><template>no</template><title>second</title></body>";
    let expected = Page { title: Some("A title & more".into()), text: "yes\n\nyes, too\n\nlabel".into() };
    assert_eq!(page(html), expected);
    assert_eq!(text("<nav><a href=/x>all there is</a></nav>"), "[all there is](https://site.test/x)");
    assert_eq!(page("<title></title>"), Page::default());
}

/// Each would take a stack, a memory or a time without bound from who builds a tree or pads a table.
#[test]
fn no_page_is_too_much() {
    let deep = |tag: &str, times: usize| format!("{}bottom", format!("<{tag}>").repeat(times));
    let rows = "<tr><td>a</td></tr>".repeat(20_000);
    let hostile = [
        (deep("div", 100_000), "bottom".to_owned()),
        (deep("b", 100_000), format!("{}bottom{}", "**".repeat(16), "**".repeat(16))),
        (deep("blockquote", 100_000), format!("{}bottom", "> ".repeat(16))),
        (deep("ul", 100_000), "bottom".to_owned()),
        (deep("ul><li", 50_000), "- bottom".to_owned()),
        (deep("table><tr><td", 50_000), "bottom".to_owned()),
        (deep("a href=x", 50_000), "[bottom](https://site.test/docs/x)".to_owned()),
        (deep("svg", 100_000), String::new()),
        (format!("<p>{}x", "</div>".repeat(100_000)), "x".to_owned()),
        (
            format!("<table><tr><th>{}</tr>{rows}</table>", "x".repeat(100_000)),
            format!("| {} |\n| --- |\n{}", "x".repeat(100_000), "| a |\n".repeat(20_000).trim_end()),
        ),
    ];
    for (html, expected) in hostile {
        let text = text(&html);
        assert!(text == expected, "{}…: {}… of {}", &html[..30], &text[..text.len().min(200)], text.len());
    }
    let formatting: String = (0..20_000).map(|n| format!("<p><b a={n}></p>")).collect();
    assert_eq!(text(&(formatting + "x")).trim_start_matches('*'), format!("x{}", "**".repeat(16)));
}

/// What gets longer on the way does so up to a limit.
#[test]
fn a_page_that_grows_is_cut() {
    let long = "x".repeat(1900);
    let links = format!("<base href='https://site.test/{long}/'>{}", "<a href=a>b</a>".repeat(20_000));
    let lines = format!("{}{}", "<blockquote>".repeat(16), "a<br>".repeat(1_000_000));
    for html in [links, lines] {
        let text = text(&html);
        assert!((MAX_TEXT..MAX_TEXT + 10_000).contains(&text.len()), "{}", text.len());
    }
}

#[test]
fn nothing_is_converted_for_nobody() {
    let base = "https://site.test/".parse().unwrap();
    assert_eq!(to_markdown("<p>a", &base, || false), None);
    let calls = std::cell::Cell::new(0);
    let go_on = || calls.replace(calls.get() + 1) < 3;
    assert_eq!(to_markdown(&"<a b ".repeat(1_000_000), &base, go_on), None);
    assert_eq!(calls.get(), 4);
}

#[test]
fn a_fragment_becomes_a_line() {
    assert_eq!(to_text("the <strong>best</strong> &quot;a&#39;b&quot;\n <br> x"), "the best \"a'b\" x");
}

/// Tags in any order, closed or not.
fn soup() -> impl Strategy<Value = String> {
    const TAGS: &[&str] = &[
        "a",
        "a href=x",
        "b",
        "blockquote",
        "br",
        "caption",
        "code",
        "dd",
        "div",
        "dl",
        "dt",
        "em",
        "h1",
        "h3",
        "hr",
        "img alt=x src=x",
        "li",
        "ol",
        "ol start=7",
        "p",
        "pre",
        "pre class=language-c",
        "span",
        "strong",
        "table",
        "tbody",
        "td",
        "th",
        "tr",
        "ul",
    ];
    let piece = prop_oneof![
        3 => select(TAGS).prop_map(|tag| format!("<{tag}>")),
        2 => select(TAGS).prop_map(|tag| format!("</{}>", tag.split(' ').next().unwrap_or_default())),
        3 => Just(" word ".to_owned()),
        1 => Just("word".to_owned()),
        1 => select(&["\n", " ", "|", "`", "```", "\u{a0}", "é"][..]).prop_map(str::to_owned),
    ];
    let number = |pieces: Vec<String>| {
        let numbered = pieces.iter().enumerate().map(|(n, piece)| piece.replace("word", &format!("w{n:03}")));
        numbered.collect()
    };
    vec(piece, 0..80).prop_map(number)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_word_of_a_page_is_lost_or_moved(html in soup()) {
        let text = text(&html);
        let words = |text: &str| -> Vec<String> {
            text.match_indices('w').filter_map(|(at, _)| Some(text.get(at..at + 4)?.to_owned())).collect()
        };
        prop_assert_eq!(words(&text), words(&html), "{}", text);
    }
}
