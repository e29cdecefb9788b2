//! How many tokens a text has, told from its letters alone: words, digits and marks cost what they cost on average.

/// Costs in hundredths of a token, fitted to a large vocabulary of today (`docs/responses.md` has the error).
mod cost {
    /// A word of an alphabet that the vocabulary is rich in.
    pub const WORD: u64 = 79;
    /// Each letter of it beyond the fifth, and again beyond the tenth: long words are made of pieces.
    pub const LONG: u64 = 30;
    pub const LONGER: u64 = 28;
    pub const ACCENT: u64 = 42;
    /// A word of another alphabet, and each letter of it beyond the third.
    pub const FOREIGN_WORD: u64 = 142;
    pub const FOREIGN_LONG: u64 = 11;
    /// One character of a script that has no short words.
    pub const SYLLABLE: u64 = 36;
    pub const IDEOGRAPH: u64 = 73;
    pub const KANA: u64 = 69;
    pub const HANGUL: u64 = 62;
    /// Up to three digits.
    pub const DIGITS: u64 = 130;
    /// The first of several marks in a row, and each further one.
    pub const MARK: u64 = 75;
    pub const MORE_MARKS: u64 = 14;
    pub const LINE: u64 = 111;
    /// White space wider than the one space that belongs to the word after it.
    pub const GAP: u64 = 15;
    pub const SPACE_BEFORE_DIGITS: u64 = 100;
    /// Each byte of anything else, such as emoji.
    pub const OTHER_BYTE: u64 = 17;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Latin,
    Foreign,
    Syllable,
    Ideograph,
    Kana,
    Hangul,
    Digit,
    Space,
    Mark,
    Other,
}

/// The estimate for a text that stands alone.
pub fn tokens(text: &str) -> u64 {
    let (mut hundredths, mut chars) = (0_u64, text.chars().peekable());
    while let Some(first) = chars.next() {
        let kind = kind(first);
        let mut run = Run::of(first);
        while let Some(next) = chars.next_if(|&next| self::kind(next) == kind && run.takes(kind, next)) {
            run.add(next);
        }
        let before_digits = chars.peek().is_some_and(char::is_ascii_digit);
        hundredths = hundredths.saturating_add(run.cost(kind, before_digits));
    }
    hundredths.div_ceil(100)
}

/// Characters of one kind in a row.
struct Run {
    first: char,
    last: char,
    length: u64,
    accents: u64,
    has_line_end: bool,
}

impl Run {
    fn of(first: char) -> Self {
        let (length, accents) = (1, u64::from(!first.is_ascii()));
        Self { first, last: first, length, accents, has_line_end: matches!(first, '\n' | '\r') }
    }

    /// A capital after a small letter begins the next word, as in `nextWord`.
    fn takes(&self, kind: Kind, next: char) -> bool {
        kind != Kind::Latin || !next.is_uppercase() || self.last.is_uppercase()
    }

    fn add(&mut self, next: char) {
        self.last = next;
        self.length = self.length.saturating_add(1);
        self.accents = self.accents.saturating_add(u64::from(!next.is_ascii()));
        self.has_line_end |= matches!(next, '\n' | '\r');
    }

    fn cost(&self, kind: Kind, before_digits: bool) -> u64 {
        let length = self.length;
        let beyond = |count: u64| length.saturating_sub(count);
        let each = |cost: u64| length.saturating_mul(cost);
        match kind {
            Kind::Latin => {
                let (long, longer) = (beyond(5).saturating_mul(cost::LONG), beyond(10).saturating_mul(cost::LONGER));
                [cost::WORD, long, longer, self.accents.saturating_mul(cost::ACCENT)]
                    .into_iter()
                    .fold(0, u64::saturating_add)
            }
            Kind::Foreign => beyond(3).saturating_mul(cost::FOREIGN_LONG).saturating_add(cost::FOREIGN_WORD),
            Kind::Syllable => each(cost::SYLLABLE),
            Kind::Ideograph => each(cost::IDEOGRAPH),
            Kind::Kana => each(cost::KANA),
            Kind::Hangul => each(cost::HANGUL),
            Kind::Digit => length.div_ceil(3).saturating_mul(cost::DIGITS),
            Kind::Mark => beyond(1).saturating_mul(cost::MORE_MARKS).saturating_add(cost::MARK),
            Kind::Space if self.has_line_end => cost::LINE,
            Kind::Space if length > 1 => cost::GAP,
            Kind::Space if before_digits => cost::SPACE_BEFORE_DIGITS,
            Kind::Space => 0,
            Kind::Other => each(cost::OTHER_BYTE.saturating_mul(self.first.len_utf8() as u64)),
        }
    }
}

fn kind(char: char) -> Kind {
    match char {
        'a'..='z' | 'A'..='Z' => Kind::Latin,
        '0'..='9' => Kind::Digit,
        _ if char.is_whitespace() => Kind::Space,
        _ if char.is_ascii() => Kind::Mark,
        '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' => Kind::Latin,
        // Greek, Cyrillic, Armenian, Hebrew, Arabic, Georgian.
        '\u{370}'..='\u{6ff}' | '\u{10a0}'..='\u{10ff}' => Kind::Foreign,
        // The scripts of India and South-East Asia.
        '\u{700}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' => Kind::Syllable,
        '\u{1100}'..='\u{11ff}' | '\u{3130}'..='\u{318f}' | '\u{ac00}'..='\u{d7af}' => Kind::Hangul,
        '\u{3040}'..='\u{30ff}' => Kind::Kana,
        '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}' => Kind::Ideograph,
        '\u{a0}'..='\u{bf}' | '\u{2000}'..='\u{206f}' | '\u{3000}'..='\u{303f}' | '\u{ff00}'..='\u{ff65}' => Kind::Mark,
        _ => Kind::Other,
    }
}
