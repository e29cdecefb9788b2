//! HTML to Markdown, token by token.
//!
//! No tree is built: the tree of a hostile page can be as deep as the page is long, and building or walking it then takes
//! a stack or a time without bound. What a tree would know better (where an unclosed tag ends) the writer guesses.

use super::markdown::{Gap, Mark, Writer};
use crate::tools::text;
use html5ever::LocalName;
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts};
use std::cell::RefCell;
use url::Url;

/// Bytes after which to ask whether anybody still waits.
const CHUNK: usize = 16 * 1024;

/// The longest address of a link that is kept. One base of a page is added to all its links, so this bounds their sum.
const MAX_ADDRESS: usize = 2000;

/// The most text one page can become: links get longer on the way.
const MAX_TEXT: usize = 16 << 20;

/// A page as a model reads it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Page {
    pub title: Option<String>,
    pub text: String,
}

/// Elements that say nothing to a reader, with all that is in them.
const NOISE: &[&str] = &[
    "audio", "button", "canvas", "datalist", "dialog", "embed", "iframe", "map", "nav", "noembed", "noframes",
    "object", "script", "select", "style", "svg", "template", "textarea", "video",
];

/// Converts a page. `base` is what its relative links are relative to; `go_on` says whether anybody still waits. Gives
/// `None` if nobody does.
pub fn to_markdown(html: &str, base: &Url, go_on: impl Fn() -> bool) -> Option<Page> {
    let page = convert(html, base, &go_on, false)?;
    // A page that is all navigation, such as an index, has at least that to say.
    if page.text.is_empty() { convert(html, base, &go_on, true) } else { Some(page) }
}

fn convert(html: &str, base: &Url, go_on: impl Fn() -> bool, with_nav: bool) -> Option<Page> {
    let reader = Reader {
        writer: Writer::new(MAX_TEXT),
        base: base.clone(),
        page: base.clone(),
        is_based: false,
        with_nav,
        skipped: None,
        title: String::new(),
        titles: 0,
        in_title: false,
    };
    let tokenizer = Tokenizer::new(Sink(RefCell::new(reader)), TokenizerOpts::default());
    let input = BufferQueue::default();
    let mut rest = html;
    while !rest.is_empty() {
        if !go_on() {
            return None;
        }
        let (chunk, after) = rest.split_at(text::start(rest, CHUNK).len());
        rest = after;
        input.push_back(StrTendril::from(chunk));
        // It stops early for scripts and encodings alone, and the sink asks for neither.
        let _ = tokenizer.feed(&input);
        if tokenizer.sink.0.borrow().writer.is_full() {
            break;
        }
    }
    tokenizer.end();
    let Reader { writer, title, .. } = tokenizer.sink.0.into_inner();
    let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
    Some(Page { title: Some(title).filter(|title| !title.is_empty()), text: writer.finish() })
}

/// The text of a fragment, as one line.
pub fn to_text(html: &str) -> String {
    #[derive(Default)]
    struct Text(RefCell<String>);
    impl TokenSink for Text {
        type Handle = ();
        fn process_token(&self, token: Token, _: u64) -> TokenSinkResult<()> {
            if let Token::CharacterTokens(text) = token {
                self.0.borrow_mut().push_str(&text);
            }
            TokenSinkResult::Continue
        }
    }
    let tokenizer = Tokenizer::new(Text::default(), TokenizerOpts::default());
    let input = BufferQueue::default();
    input.push_back(StrTendril::from(html));
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    tokenizer.sink.0.into_inner().split_whitespace().collect::<Vec<_>>().join(" ")
}

struct Sink(RefCell<Reader>);

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, _: u64) -> TokenSinkResult<()> {
        let mut reader = self.0.borrow_mut();
        match token {
            Token::CharacterTokens(text) => reader.text(&text),
            Token::TagToken(tag) => return reader.tag(&tag),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

struct Reader {
    writer: Writer,
    base: Url,
    /// Where the page itself is.
    page: Url,
    is_based: bool,
    with_nav: bool,
    /// An element that is left out, and how many of its name are open.
    skipped: Option<(LocalName, usize)>,
    title: String,
    titles: usize,
    in_title: bool,
}

impl Reader {
    fn text(&mut self, text: &str) {
        match (&self.skipped, self.in_title) {
            (Some(_), _) => {}
            (None, true) if self.titles == 1 && self.title.len() < MAX_ADDRESS => self.title.push_str(text),
            (None, true) => {}
            (None, false) => self.writer.text(text),
        }
    }

    fn tag(&mut self, tag: &Tag) -> TokenSinkResult<()> {
        let in_drawing = matches!(&self.skipped, Some((name, _)) if &**name == "svg");
        match (&mut self.skipped, tag.kind) {
            (Some((name, depth)), TagKind::StartTag) if *name == tag.name && !tag.self_closing => {
                *depth = depth.saturating_add(1);
            }
            (Some((name, depth)), TagKind::EndTag) if *name == tag.name => {
                *depth = depth.saturating_sub(1);
                if *depth == 0 {
                    self.skipped = None;
                }
            }
            (Some(_), _) => {}
            (None, TagKind::StartTag) => self.start(tag),
            (None, TagKind::EndTag) => self.end(&tag.name),
        }
        match raw(tag) {
            // In a drawing these are tags like others, and one that closes itself has no text to read raw.
            Some(_) if in_drawing && tag.self_closing => TokenSinkResult::Continue,
            Some(kind) => TokenSinkResult::RawData(kind),
            None => TokenSinkResult::Continue,
        }
    }

    fn start(&mut self, tag: &Tag) {
        let name = &*tag.name;
        if NOISE.contains(&name) && !(self.with_nav && name == "nav") {
            let is_empty = name == "embed" || (name == "svg" && tag.self_closing);
            self.skipped = (!is_empty).then(|| (tag.name.clone(), 1));
            return;
        }
        let writer = &mut self.writer;
        match name {
            "title" => {
                // Another one is none, but no text either.
                self.titles = self.titles.saturating_add(1);
                self.in_title = true;
            }
            "base" => self.rebase(tag),
            "a" => self.link(tag),
            "img" => self.image(tag),
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => writer.heading(level(name)),
            "b" | "strong" => writer.open(Mark::Strong),
            "i" | "em" => writer.open(Mark::Emphasis),
            "code" | "pre" | "kbd" | "samp" | "tt" => code(writer, tag),
            "br" => writer.gap(Gap::Line),
            "hr" => writer.rule(),
            "ul" | "menu" | "dir" => writer.list(None),
            "ol" => writer.list(Some(attribute(tag, "start").and_then(|start| start.trim().parse().ok()).unwrap_or(1))),
            "li" => writer.item(),
            "dd" => writer.line(": "),
            "blockquote" => writer.quote(),
            "table" => writer.table(),
            "tr" => writer.row(),
            "td" | "th" => writer.cell(name == "th"),
            "dt" | "figcaption" | "summary" => writer.gap(Gap::Blank),
            "option" | "caption" | "legend" => writer.gap(Gap::Line),
            "p" => writer.block(),
            _ if is_block(name) => writer.gap(Gap::Blank),
            _ => {}
        }
    }

    fn end(&mut self, name: &str) {
        let writer = &mut self.writer;
        match name {
            "title" => self.in_title = false,
            "a" => writer.close(&Mark::Link(String::new())),
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => writer.end_heading(),
            "b" | "strong" => writer.close(&Mark::Strong),
            "i" | "em" => writer.close(&Mark::Emphasis),
            "code" | "kbd" | "samp" | "tt" => writer.close(&Mark::Code),
            "pre" => writer.end_pre(),
            "ul" | "ol" | "menu" | "dir" => writer.end_list(),
            "blockquote" => writer.end_quote(),
            "table" => writer.end_table(),
            "tr" => writer.end_row(),
            "td" | "th" => writer.end_cell(),
            "li" | "dd" | "caption" => writer.gap(Gap::Line),
            "dt" => {}
            _ if is_block(name) => writer.gap(Gap::Blank),
            _ => {}
        }
    }

    fn link(&mut self, tag: &Tag) {
        // A link cannot be in a link, so this ends one that was left open.
        self.writer.close(&Mark::Link(String::new()));
        let target = attribute(tag, "href").and_then(|href| self.address(href));
        if let Some(target) = target.filter(|target| !self.is_here(target)) {
            self.writer.open(Mark::Link(shown(&target)));
        }
    }

    fn image(&mut self, tag: &Tag) {
        let text = attribute(tag, "alt").map(str::trim).filter(|text| !text.is_empty() && text.len() < MAX_ADDRESS);
        let address = attribute(tag, "src").and_then(|address| self.address(address));
        if let (Some(text), Some(address)) = (text, address) {
            self.writer.image(text, &shown(&address));
        }
    }

    /// An address on the web, as a whole.
    fn address(&self, text: &str) -> Option<Url> {
        if text.len() > MAX_ADDRESS {
            return None;
        }
        let url = self.base.join(text.trim()).ok()?;
        let is_kept = matches!(url.scheme(), "http" | "https" | "mailto") && url.as_str().len() <= MAX_ADDRESS;
        is_kept.then_some(url)
    }

    /// Whether a link leads to a place in the page itself.
    fn is_here(&self, target: &Url) -> bool {
        let bare = |url: &Url| url.as_str().split('#').next().map(str::to_owned);
        target.fragment().is_some() && bare(target) == bare(&self.page)
    }

    fn rebase(&mut self, tag: &Tag) {
        let base = attribute(tag, "href").filter(|_| !self.is_based).and_then(|href| self.address(href));
        if let Some(base) = base.filter(|base| !base.cannot_be_a_base()) {
            (self.base, self.is_based) = (base, true);
        }
    }
}

/// Parentheses and spaces would end a link in Markdown too early.
fn shown(url: &Url) -> String {
    url.as_str().replace('(', "%28").replace(')', "%29")
}

fn level(name: &str) -> usize {
    name.strip_prefix('h').and_then(|level| level.parse().ok()).unwrap_or(1)
}

fn code(writer: &mut Writer, tag: &Tag) {
    if &*tag.name == "pre" {
        writer.pre();
    }
    if writer.is_pre() {
        let classes = attribute(tag, "class").unwrap_or_default().split_ascii_whitespace();
        let mut languages = classes.filter_map(|class| class.strip_prefix("language-").or(class.strip_prefix("lang-")));
        let is_word = |language: &&str| language.len() <= 20 && !language.contains('`');
        writer.language(languages.find(is_word).unwrap_or_default());
    } else if &*tag.name != "pre" {
        writer.open(Mark::Code);
    }
}

fn attribute<'t>(tag: &'t Tag, name: &str) -> Option<&'t str> {
    tag.attrs.iter().find(|attribute| &*attribute.name.local == name).map(|attribute| &*attribute.value)
}

/// How the text of an element is read where tags mean nothing in it.
fn raw(tag: &Tag) -> Option<RawKind> {
    if tag.kind == TagKind::EndTag {
        return None;
    }
    match &*tag.name {
        "title" | "textarea" => Some(RawKind::Rcdata),
        "style" | "xmp" | "iframe" | "noembed" | "noframes" => Some(RawKind::Rawtext),
        "script" => Some(RawKind::ScriptData),
        _ => None,
    }
}

fn is_block(name: &str) -> bool {
    matches!(
        name,
        "address"
            | "article"
            | "aside"
            | "body"
            | "center"
            | "details"
            | "div"
            | "dl"
            | "fieldset"
            | "figcaption"
            | "figure"
            | "footer"
            | "form"
            | "header"
            | "hgroup"
            | "main"
            | "nav"
            | "p"
            | "search"
            | "section"
            | "summary"
            | "xmp"
    )
}

#[cfg(test)]
mod tests;
