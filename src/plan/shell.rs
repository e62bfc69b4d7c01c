//! A text for a shell, taken apart as far as is needed to tell people something about it: which programs it names, with which
//! words, and how they are joined. It is no shell: what it cannot follow it leaves out, so that nothing is said that is not so.
//! Start at [`commands`].

/// How a command goes on to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Join {
    /// `;`, the end of a line, or the end of the text.
    End,
    /// `|` or `|&`.
    Pipe,
    /// `&&`.
    And,
    /// `||`.
    Or,
    /// `&`.
    Background,
}

/// One word.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Word {
    /// Its letters, quotes taken off; what a shell would fill in stands as it is written.
    pub text: String,
    /// Something in it is filled in: `$name`, `$(…)`, a backquote.
    pub filled: bool,
    /// The shell may make several words of it, or other ones: something is filled in outside of quotes, or it holds `*`, `?`, `[`.
    pub splits: bool,
    /// Quotes stood in it.
    pub quoted: bool,
}

/// Where a stream goes to or comes from: `>/dev/null`, `2>&1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// With its number in front, where one is given: `2>`, `&>`.
    pub sign: String,
    /// The word behind it.
    pub to: Word,
}

/// A command with its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Simple {
    /// The program first; assignments before it are left out.
    pub words: Vec<Word>,
    /// Its redirections.
    pub redirects: Vec<Redirect>,
    /// What joins it to the one before; `End` for the first.
    pub before: Join,
    /// What joins it to the next.
    pub after: Join,
    /// It stands in what is only run where something else says so, such as behind `if`, or in what is put in a word's place.
    pub maybe: bool,
}

impl Simple {
    /// The program's name without its folder; empty where it is filled in.
    pub fn program(&self) -> &str {
        let first = self.words.first().filter(|word| !word.filled).map_or("", |word| &word.text);
        first.rsplit('/').next().unwrap_or_default()
    }
    /// The letters of its words, the program left out.
    pub fn arguments(&self) -> impl Iterator<Item = &str> {
        self.words.iter().skip(1).map(|word| word.text.as_str())
    }
}

/// Texts in texts are followed this far.
const DEPTH_MAX: usize = 8;
/// Words that begin something which may or may not be run.
const MAYBE: &[&str] = &["if", "while", "until", "for", "case"];
const OVER: &[&str] = &["fi", "done", "esac"];
/// Words of the shell itself that stand before a command.
const BEFORE: &[&str] = &["then", "else", "elif", "do", "{", "}", "!", "time", "exec", "command", "builtin"];

/// The commands in a text, in the order in which they stand there. Texts given to `sh -c` are taken apart as well.
pub fn commands(text: &str) -> Vec<Simple> {
    let mut reader = Reader { chars: text.chars().collect(), at: 0, found: vec![], maybe: 0, depth: 0, ends: vec![] };
    reader.read();
    reader.found
}

/// The text that a shell is given with `-c`, where those are its words.
pub fn inner<'w>(program: &str, mut arguments: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    if !is_shell(program) {
        return None;
    }
    while let Some(word) = arguments.next() {
        let flags = word.strip_prefix('-').filter(|_| !word.starts_with("--"))?;
        if flags.ends_with('o') {
            arguments.next();
        }
        if flags.contains('c') {
            return arguments.find(|word| !word.starts_with('-') || word.contains(' '));
        }
    }
    None
}

/// Whether a program of that name takes texts and scripts as `sh` does.
pub fn is_shell(program: &str) -> bool {
    ["sh", "bash", "dash", "ash", "zsh", "ksh", "mksh"].contains(&program)
}

struct Reader {
    chars: Vec<char>,
    at: usize,
    found: Vec<Simple>,
    /// So many words that begin something which may or may not be run are open.
    maybe: usize,
    depth: usize,
    /// Words that end texts which stand in the lines below.
    ends: Vec<String>,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }
    fn next(&mut self) -> Option<char> {
        let next = self.peek();
        self.at += usize::from(next.is_some());
        next
    }
    fn take(&mut self, sign: char) -> bool {
        let is = self.peek() == Some(sign);
        self.at += usize::from(is);
        is
    }

    fn read(&mut self) {
        let (mut words, mut redirects, mut before) = (vec![], vec![], Join::End);
        loop {
            let join = match self.peek() {
                None => Some(Join::End),
                Some(' ' | '\t' | '\r') => {
                    self.at += 1;
                    None
                }
                Some('\\') if self.chars.get(self.at + 1) == Some(&'\n') => {
                    self.at += 2;
                    None
                }
                Some('#') => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.at += 1;
                    }
                    None
                }
                Some('\n') => {
                    self.at += 1;
                    self.skip_texts();
                    Some(Join::End)
                }
                Some(';' | '(' | ')') => {
                    self.at += 1;
                    Some(Join::End)
                }
                Some('|') => {
                    self.at += 1;
                    let or = self.take('|');
                    let _ = !or && self.take('&');
                    Some(if or { Join::Or } else { Join::Pipe })
                }
                Some('&') if self.chars.get(self.at + 1) == Some(&'>') => {
                    self.at += 1;
                    self.redirect("&".to_owned(), &mut redirects);
                    None
                }
                Some('&') => {
                    self.at += 1;
                    Some(if self.take('&') { Join::And } else { Join::Background })
                }
                Some('<' | '>') => {
                    self.redirect(String::new(), &mut redirects);
                    None
                }
                Some(_) => {
                    let word = self.word();
                    let digits = !word.text.is_empty() && word.text.chars().all(|c| c.is_ascii_digit());
                    if digits && !word.quoted && matches!(self.peek(), Some('<' | '>')) {
                        self.redirect(word.text, &mut redirects);
                    } else {
                        words.push(word);
                    }
                    None
                }
            };
            let Some(after) = join else { continue };
            let blank = words.is_empty() && redirects.is_empty();
            // A line end behind `|` or `&&` goes on with the same.
            if !(blank && after == Join::End && before != Join::End) {
                self.end(std::mem::take(&mut words), std::mem::take(&mut redirects), before, after);
                before = after;
            }
            if self.at >= self.chars.len() {
                return;
            }
        }
    }

    /// A command is whole.
    fn end(&mut self, words: Vec<Word>, redirects: Vec<Redirect>, before: Join, after: Join) {
        let mut words = words.into_iter().peekable();
        while let Some(word) = words.peek() {
            let text = word.text.as_str();
            if word.quoted {
                if !is_assignment(text) {
                    break;
                }
            } else if MAYBE.contains(&text) {
                self.maybe += 1;
                if ["for", "case"].contains(&text) {
                    return; // names and values up to `do` or `in`
                }
            } else if OVER.contains(&text) {
                self.maybe = self.maybe.saturating_sub(1);
            } else if !BEFORE.contains(&text) && !is_assignment(text) {
                break;
            }
            words.next();
        }
        let words: Vec<_> = words.collect();
        if words.is_empty() {
            return;
        }
        let simple = Simple { words, redirects, before, after, maybe: self.maybe > 0 };
        let text = inner(simple.program(), simple.arguments()).map(str::to_owned);
        self.found.push(simple);
        if let Some(text) = text {
            self.inside(&text, self.maybe > 0);
        }
    }

    /// What stands in a text in the text.
    fn inside(&mut self, text: &str, maybe: bool) {
        if self.depth >= DEPTH_MAX {
            return;
        }
        let mut reader = Reader {
            chars: text.chars().collect(),
            at: 0,
            found: vec![],
            maybe: usize::from(maybe),
            depth: self.depth + 1,
            ends: vec![],
        };
        reader.read();
        self.found.append(&mut reader.found);
    }

    fn redirect(&mut self, mut sign: String, redirects: &mut Vec<Redirect>) {
        while let Some(c) = self.peek().filter(|c| ['<', '>', '&', '|'].contains(c)) {
            sign.push(c);
            self.at += 1;
        }
        let stripped = sign.ends_with("<<") && self.take('-');
        while matches!(self.peek(), Some(' ' | '\t')) {
            self.at += 1;
        }
        let to = self.word();
        if sign.ends_with("<<") && !sign.ends_with("<<<") {
            self.ends.push(if stripped { format!("\t{}", to.text) } else { to.text.clone() });
        }
        redirects.push(Redirect { sign, to });
    }

    /// Past the texts that stand in the lines below a command.
    fn skip_texts(&mut self) {
        for end in std::mem::take(&mut self.ends) {
            while self.at < self.chars.len() {
                let line: String = self.chars[self.at..].iter().take_while(|c| **c != '\n').collect();
                self.at = (self.at + line.chars().count() + 1).min(self.chars.len());
                let line = if end.starts_with('\t') { format!("\t{}", line.trim_start_matches('\t')) } else { line };
                if line == end {
                    break;
                }
            }
        }
    }

    fn word(&mut self) -> Word {
        let mut word = Word::default();
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' | '\r' | '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')' => break,
                '\'' => {
                    self.at += 1;
                    word.quoted = true;
                    while let Some(c) = self.next().filter(|c| *c != '\'') {
                        word.text.push(c);
                    }
                }
                '"' => {
                    self.at += 1;
                    word.quoted = true;
                    while let Some(c) = self.peek().filter(|c| *c != '"') {
                        match c {
                            '\\' => {
                                self.at += 1;
                                word.text.extend(self.next());
                            }
                            '$' | '`' => self.filled(&mut word),
                            c => {
                                self.at += 1;
                                word.text.push(c);
                            }
                        }
                    }
                    self.at += 1;
                }
                '\\' => {
                    self.at += 1;
                    word.quoted = true;
                    word.text.extend(self.next());
                }
                '$' | '`' => {
                    self.filled(&mut word);
                    word.splits = true;
                }
                // A parameter of the plan, whole.
                '{' if self.chars.get(self.at + 1) == Some(&'{') => {
                    while let Some(c) = self.next() {
                        word.text.push(c);
                        if word.text.ends_with("}}") {
                            break;
                        }
                    }
                }
                c => {
                    self.at += 1;
                    word.splits |= ['*', '?', '['].contains(&c);
                    word.text.push(c);
                }
            }
        }
        word
    }

    /// `$name`, `${…}`, `$(…)`, `` `…` ``.
    fn filled(&mut self, word: &mut Word) {
        let Some(first) = self.next() else { return };
        word.text.push(first);
        let opened = match (first, self.peek()) {
            ('`', _) => Some(('`', '`')),
            (_, Some('(')) => Some(('(', ')')),
            (_, Some('{')) => Some(('{', '}')),
            (_, Some(c)) if c.is_alphanumeric() || "_@*#?!$-".contains(c) => None,
            _ => return,
        };
        word.filled = true;
        let Some((open, close)) = opened else { return };
        let (mut level, begin) = (usize::from(open == '`'), self.at);
        while let Some(c) = self.next() {
            word.text.push(c);
            if c == close && open == close {
                break;
            }
            level += usize::from(c == open);
            level -= usize::from(c == close && level > 0);
            if level == 0 {
                break;
            }
        }
        if open != '{' {
            let inner: String = self.chars[begin..self.at].iter().collect();
            let inner = inner.trim_start_matches('(').trim_end_matches([')', '`']).to_owned();
            self.inside(&inner, true);
        }
    }
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| super::units::is_identifier(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str) -> Vec<String> {
        let each = commands(text).into_iter().map(|simple| {
            let words: Vec<_> = simple.words.iter().map(|word| word.text.as_str()).collect();
            let redirects =
                simple.redirects.iter().map(|it| format!(" [{}{}]", it.sign, it.to.text)).collect::<String>();
            format!("{}{redirects} {:?}{}", words.join(","), simple.after, if simple.maybe { "?" } else { "" })
        });
        each.collect()
    }

    #[test]
    fn a_text_is_taken_apart_as_a_shell_would() {
        for (text, wanted) in [
            ("pg_dump app | gzip > a.gz", vec!["pg_dump,app Pipe", "gzip [>a.gz] End"]),
            ("A=1 B='x y' ./go 'a b' \"c\\\"d\" e\\ f", vec!["./go,a b,c\"d,e f End"]),
            ("a && b || c; d &", vec!["a And", "b Or", "c End", "d Background"]),
            ("x >/dev/null 2>&1", vec!["x [>/dev/null] [2>&1] End"]),
            ("x &>log; y", vec!["x [&>log] End", "y End"]),
            ("a |\n  b # c | d\ne", vec!["a Pipe", "b End", "e End"]),
            ("cat <<END\nrm -rf x | y\nEND\nnext", vec!["cat [<<END] End", "next End"]),
            ("if test -f x; then rm x; fi; y", vec!["test,-f,x End?", "rm,x End?", "y End"]),
            ("for x in a b; do run $x; done", vec!["run,$x End?"]),
            ("echo $(id -u) `date`", vec!["id,-u End?", "date End?", "echo,$(id -u),`date` End"]),
            ("sh -c 'a | b' x", vec!["sh,-c,a | b,x End", "a Pipe", "b End"]),
            ("drop {{ index }} | tee {{ a | b }}", vec!["drop,{{ index }} Pipe", "tee,{{ a | b }} End"]),
            ("(cd x && ./y)", vec!["cd,x And", "./y End"]),
            ("cd x \\\n  y", vec!["cd,x,y End"]),
        ] {
            assert_eq!(seen(text), wanted, "{text:?}");
        }
        let words = commands("rm -rf \"$A\" $B *.x").remove(0).words;
        assert_eq!(words.iter().map(|word| word.filled).collect::<Vec<_>>(), [false, false, true, true, false]);
        assert_eq!(words.iter().map(|word| word.splits).collect::<Vec<_>>(), [false, false, false, true, true]);
    }

    #[test]
    fn no_text_is_too_strange() {
        let pieces =
            ["'", "\"", "$(", "`", "${", "<<", "\\", "&", "|", ")", "\n", "{{", "a", " ", "if", ">", "-c", "sh "];
        for first in pieces {
            for second in pieces {
                for third in pieces {
                    commands(&format!("{first}{second}{third}"));
                }
            }
        }
        commands(&"$(".repeat(1000));
        commands(&"sh -c '".repeat(100));
    }
}
