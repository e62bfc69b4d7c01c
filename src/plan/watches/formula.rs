//! The formula of a `compare` watch: readings and numbers, added, subtracted, multiplied and divided, on both sides of one
//! comparison. Start at [`Formula::parse`].
//!
//! Ids of watches may hold `-`, so a minus needs a blank before it. A reading without unit, as a number in the text, fits
//! any unit; two different units never meet.

use crate::name::WatchId;
use std::fmt;
use std::ops::Range;

/// Nobody reads a longer one.
const BYTES_MAX: usize = 500;
/// Brackets within brackets, so that no text can exhaust the stack.
const DEPTH_MAX: usize = 20;

/// A comparison of two terms.
#[derive(Debug, Clone, PartialEq)]
pub struct Formula {
    /// What stands on the left.
    pub left: Term,
    /// How both sides have to stand to each other.
    pub relation: Relation,
    /// What stands on the right.
    pub right: Term,
}

/// How two numbers stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// `==`
    Equal,
    /// `!=`
    Unequal,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
}

/// Something that has a number.
#[derive(Debug, Clone, PartialEq)]
pub enum Term {
    /// As written.
    Number(f64),
    /// The value of a watch's reading.
    Reading(WatchId),
    /// The same with the other sign.
    Minus(Box<Term>),
    /// Two terms as one.
    Both(Box<Term>, Sign, Box<Term>),
}

/// What is done with two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// `+`
    Plus,
    /// `-`
    Minus,
    /// `*`
    Times,
    /// `/`
    Over,
}

/// What is wrong with a formula, and where in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormulaError {
    /// The bytes of the formula.
    pub at: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What was expected.
    pub label: String,
}

/// A number with its unit. Without one it fits any.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantity {
    /// How many.
    pub number: f64,
    /// Of what; empty where nothing is said.
    pub unit: String,
}

/// Both sides of a formula as numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Sides {
    /// The left one.
    pub left: f64,
    /// The right one.
    pub right: f64,
    /// The unit of both; empty where neither says.
    pub unit: String,
}

impl Relation {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Relation::Equal => "==",
            Relation::Unequal => "!=",
            Relation::Less => "<",
            Relation::AtMost => "<=",
            Relation::Greater => ">",
            Relation::AtLeast => ">=",
        }
    }

    /// Whether it holds; `within` is how far apart two numbers may be that count as equal, as a share of the larger.
    pub fn holds(self, left: f64, right: f64, within: f64) -> bool {
        let equal = (left - right).abs() <= within * left.abs().max(right.abs());
        match self {
            Relation::Equal => equal,
            Relation::Unequal => !equal,
            Relation::Less => left < right,
            Relation::AtMost => left <= right,
            Relation::Greater => left > right,
            Relation::AtLeast => left >= right,
        }
    }
}

impl Sign {
    fn apply(self, left: f64, right: f64) -> f64 {
        match self {
            Sign::Plus => left + right,
            Sign::Minus => left - right,
            Sign::Times => left * right,
            Sign::Over => left / right,
        }
    }
}

impl Formula {
    /// Reads a formula, or says what is wrong with it where.
    pub fn parse(text: &str) -> Result<Formula, FormulaError> {
        if text.len() > BYTES_MAX {
            let message = format!("a formula of {} bytes is not read", text.len());
            return Err(FormulaError { at: 0..text.len(), message, label: format!("expected at most {BYTES_MAX}") });
        }
        let mut parser = Parser { tokens: tokens(text)?, next: 0, end: text.len(), depth: 0 };
        let left = parser.sum()?;
        let relation = match parser.take() {
            Some((_, Token::Relation(relation))) => relation,
            Some((at, _)) => return Err(wrong(at, "two terms without anything between them", OPERATOR)),
            None => {
                let message = "nothing is compared";
                return Err(wrong(0..text.len(), message, "expected ==, !=, <, <=, > or >= and a second term"));
            }
        };
        let right = parser.sum()?;
        match parser.take() {
            None => Ok(Formula { left, relation, right }),
            Some((at, Token::Relation(_))) => {
                Err(wrong(at, "a second comparison", "expected one; a watch of its own for the other"))
            }
            Some((at, Token::Close)) => Err(wrong(at, "a bracket too many", "nothing is open here")),
            Some((at, _)) => Err(wrong(at, "two terms without anything between them", OPERATOR)),
        }
    }

    /// The watches it names, each once, in the order of the text.
    pub fn watches(&self) -> Vec<&WatchId> {
        let mut found = vec![];
        self.left.watches(&mut found);
        self.right.watches(&mut found);
        found
    }

    /// Both sides, where every reading has a number and the units agree; else why not.
    pub fn sides(&self, reading: &dyn Fn(&WatchId) -> Result<Quantity, String>) -> Result<Sides, String> {
        let (left, right) = (self.left.quantity(reading)?, self.right.quantity(reading)?);
        let unit = same(&left.unit, &right.unit)?.to_owned();
        Ok(Sides { left: left.number, right: right.number, unit })
    }

    /// Whether the units agree as far as they are known: those of readings that have none yet fit any.
    pub fn units(&self, unit: &dyn Fn(&WatchId) -> String) -> Result<(), String> {
        let (left, right) = (self.left.unit(unit)?, self.right.unit(unit)?);
        same(&left, &right).map(|_| ())
    }
}

const OPERATOR: &str = "expected an operator: + - * / or a comparison";

fn wrong(at: Range<usize>, message: &str, label: &str) -> FormulaError {
    FormulaError { at, message: message.to_owned(), label: label.to_owned() }
}

fn same<'u>(left: &'u str, right: &'u str) -> Result<&'u str, String> {
    match (left, right) {
        ("", unit) | (unit, "") => Ok(unit),
        (left, right) if left == right => Ok(left),
        (left, right) => Err(format!("{left} and {right} do not go together")),
    }
}

/// The unit of two terms as one.
fn joined(left: &str, sign: Sign, right: &str) -> Result<String, String> {
    match sign {
        Sign::Plus | Sign::Minus => same(left, right).map(str::to_owned),
        Sign::Times if left.is_empty() || right.is_empty() => Ok(format!("{left}{right}")),
        Sign::Times => Err(format!("{left} times {right} is nothing that is measured")),
        Sign::Over if right.is_empty() => Ok(left.to_owned()),
        Sign::Over => same(left, right).map(|_| String::new()), // a share
    }
}

impl Term {
    fn watches<'t>(&'t self, found: &mut Vec<&'t WatchId>) {
        match self {
            Term::Number(_) => {}
            Term::Reading(id) if found.contains(&id) => {}
            Term::Reading(id) => found.push(id),
            Term::Minus(term) => term.watches(found),
            Term::Both(left, _, right) => {
                left.watches(found);
                right.watches(found);
            }
        }
    }

    fn unit(&self, unit: &dyn Fn(&WatchId) -> String) -> Result<String, String> {
        match self {
            Term::Number(_) => Ok(String::new()),
            Term::Reading(id) => Ok(unit(id)),
            Term::Minus(term) => term.unit(unit),
            Term::Both(left, sign, right) => joined(&left.unit(unit)?, *sign, &right.unit(unit)?),
        }
    }

    fn quantity(&self, reading: &dyn Fn(&WatchId) -> Result<Quantity, String>) -> Result<Quantity, String> {
        let (number, unit) = match self {
            Term::Number(number) => (*number, String::new()),
            Term::Reading(id) => return reading(id),
            Term::Minus(term) => {
                let inner = term.quantity(reading)?;
                (-inner.number, inner.unit)
            }
            Term::Both(left, sign, right) => {
                let (left, right) = (left.quantity(reading)?, right.quantity(reading)?);
                if *sign == Sign::Over && right.number == 0.0 {
                    return Err(format!("{self} divides by 0"));
                }
                (sign.apply(left.number, right.number), joined(&left.unit, *sign, &right.unit)?)
            }
        };
        match number.is_finite() {
            true => Ok(Quantity { number, unit }),
            false => Err(format!("{self} is no number that can be held")),
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Term::Number(number) if number.abs() < 1e15 => write!(f, "{number}"),
            Term::Number(number) => write!(f, "{number:e}"), // not with three hundred digits
            Term::Reading(id) => write!(f, "{id}"),
            Term::Minus(term) => write!(f, "-({term})"),
            Term::Both(left, sign, right) => {
                let sign = match sign {
                    Sign::Plus => '+',
                    Sign::Minus => '-',
                    Sign::Times => '*',
                    Sign::Over => '/',
                };
                write!(f, "({left} {sign} {right})")
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Number(f64),
    Name(WatchId),
    Sign(Sign),
    Relation(Relation),
    Open,
    Close,
}

fn tokens(text: &str) -> Result<Vec<(Range<usize>, Token)>, FormulaError> {
    const RELATIONS: [(&str, Relation); 6] = [
        ("==", Relation::Equal),
        ("!=", Relation::Unequal),
        ("<=", Relation::AtMost),
        (">=", Relation::AtLeast),
        ("<", Relation::Less),
        (">", Relation::Greater),
    ];
    let mut found = vec![];
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let relation = RELATIONS.iter().find(|(word, _)| rest.starts_with(word));
        let (length, token) = match (c, relation) {
            (' ', _) => {
                at += 1;
                continue;
            }
            (_, Some((word, relation))) => (word.len(), Token::Relation(*relation)),
            ('+', _) => (1, Token::Sign(Sign::Plus)),
            ('-', _) => (1, Token::Sign(Sign::Minus)),
            ('*', _) => (1, Token::Sign(Sign::Times)),
            ('/', _) => (1, Token::Sign(Sign::Over)),
            ('(', _) => (1, Token::Open),
            (')', _) => (1, Token::Close),
            ('=', _) => return Err(wrong(at..at + 1, "a single `=` compares nothing", "expected ==")),
            (c, _) if c.is_alphanumeric() || "_.".contains(c) => {
                let in_word = |c: char| c.is_alphanumeric() || "-_.".contains(c);
                let length = rest.find(|c| !in_word(c)).unwrap_or(rest.len());
                (length, word(&rest[..length], at)?)
            }
            (c, _) => {
                let message = format!("{c:?} has no meaning in a formula");
                return Err(wrong(at..at + c.len_utf8(), &message, "expected ids of watches, numbers and operators"));
            }
        };
        found.push((at..at + length, token));
        at += length;
    }
    Ok(found)
}

/// A number where it is written as one, else the id of a watch.
fn word(word: &str, at: usize) -> Result<Token, FormulaError> {
    let number = word.parse::<f64>().ok().filter(|_| word.starts_with(|c: char| c.is_ascii_digit() || c == '.'));
    match number {
        Some(number) if number.is_finite() => Ok(Token::Number(number)),
        Some(_) => Err(wrong(at..at + word.len(), "a number beyond all that are held", "expected a smaller one")),
        None => WatchId::new(word)
            .map(Token::Name)
            .map_err(|error| wrong(at..at + word.len(), &error.to_string(), "expected the id of a watch")),
    }
}

struct Parser {
    tokens: Vec<(Range<usize>, Token)>,
    next: usize,
    end: usize,
    depth: usize,
}

impl Parser {
    fn take(&mut self) -> Option<(Range<usize>, Token)> {
        let token = self.tokens.get(self.next).cloned();
        self.next += usize::from(token.is_some());
        token
    }

    fn sign(&mut self, wanted: &[Sign]) -> Option<Sign> {
        match self.tokens.get(self.next) {
            Some((_, Token::Sign(sign))) if wanted.contains(sign) => {
                self.next += 1;
                Some(*sign)
            }
            _ => None,
        }
    }

    fn sum(&mut self) -> Result<Term, FormulaError> {
        let mut term = self.product()?;
        while let Some(sign) = self.sign(&[Sign::Plus, Sign::Minus]) {
            term = Term::Both(Box::new(term), sign, Box::new(self.product()?));
        }
        Ok(term)
    }

    fn product(&mut self) -> Result<Term, FormulaError> {
        let mut term = self.single()?;
        while let Some(sign) = self.sign(&[Sign::Times, Sign::Over]) {
            term = Term::Both(Box::new(term), sign, Box::new(self.single()?));
        }
        Ok(term)
    }

    fn single(&mut self) -> Result<Term, FormulaError> {
        const EXPECTED: &str = "expected the id of a watch, a number or a bracket";
        match self.take() {
            Some((_, Token::Number(number))) => Ok(Term::Number(number)),
            Some((_, Token::Name(id))) => Ok(Term::Reading(id)),
            Some((at, Token::Sign(Sign::Minus))) => {
                self.deeper(&at)?;
                let term = self.single()?;
                self.depth -= 1;
                Ok(Term::Minus(Box::new(term)))
            }
            Some((at, Token::Open)) => {
                self.deeper(&at)?;
                let term = self.sum()?;
                self.depth -= 1;
                match self.take() {
                    Some((_, Token::Close)) => Ok(term),
                    Some((at, Token::Relation(_))) => {
                        Err(wrong(at, "a comparison within brackets", "expected it outside"))
                    }
                    Some((at, _)) => Err(wrong(at, "two terms without anything between them", OPERATOR)),
                    None => Err(wrong(at, "a bracket is never closed", "opened here")),
                }
            }
            Some((at, _)) => Err(wrong(at, "a term is missing", EXPECTED)),
            None => Err(wrong(self.end.saturating_sub(1)..self.end, "a term is missing", EXPECTED)),
        }
    }

    fn deeper(&mut self, at: &Range<usize>) -> Result<(), FormulaError> {
        self.depth += 1;
        match self.depth > DEPTH_MAX {
            true => Err(wrong(at.clone(), "brackets in too many brackets", "nobody could read it")),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(id: &WatchId) -> Result<Quantity, String> {
        let (number, unit) = match id.as_str() {
            "new-count" => (1204.0, ""),
            "old-count" => (1204.0, ""),
            "lag" => (7.0, "messages"),
            "lag-2" => (3.0, "messages"),
            "took" => (0.5, "s"),
            "zero" => (0.0, "s"),
            id => return Err(format!("{id} is unknown")),
        };
        Ok(Quantity { number, unit: unit.to_owned() })
    }
    fn sides(text: &str) -> Result<(f64, f64, String), String> {
        let formula = Formula::parse(text).map_err(|error| error.message)?;
        formula.sides(&values).map(|sides| (sides.left, sides.right, sides.unit))
    }

    #[test]
    fn it_counts_as_people_do() {
        for (text, left, right, unit) in [
            ("new-count == old-count", 1204.0, 1204.0, ""),
            ("new-count - old-count<=5", 0.0, 5.0, ""),
            ("1 + 2 * 3 == 7", 7.0, 7.0, ""),
            ("(1 + 2) * 3 == 10 - 1", 9.0, 9.0, ""),
            ("8 - 2 - 1 == 8 / 2 / 2", 5.0, 2.0, ""),
            ("-lag < - (lag - 10)", -7.0, 3.0, "messages"),
            ("lag -1 > 1e3 + .5", 6.0, 1000.5, "messages"),
            ("lag / lag-2 >= new-count / 602", 7.0 / 3.0, 2.0, ""),
            ("2*took != 1", 1.0, 1.0, "s"),
        ] {
            assert_eq!(sides(text), Ok((left, right, unit.to_owned())), "{text}");
        }
    }

    #[test]
    fn what_has_no_answer_says_why() {
        for (text, why) in [
            ("lag < took", "messages and s do not go together"),
            ("lag + took < 3", "messages and s do not go together"),
            ("lag * took < 3", "messages times s is nothing that is measured"),
            ("lag / took < 3", "messages and s do not go together"),
            ("3 < lag / (lag - 7)", "(lag / (lag - 7)) divides by 0"),
            ("1e308 * 10 > 1", "(1e308 * 10) is no number that can be held"),
            ("absent == 1", "absent is unknown"),
            ("0 * absent == 0", "absent is unknown"),
        ] {
            assert_eq!(sides(text), Err(why.to_owned()), "{text}");
        }
    }

    #[test]
    fn mistakes_are_told_where_they_are() {
        for (text, at, message) in [
            ("", "", "a term is missing"),
            ("a", "a", "nothing is compared"),
            ("a = b", "=", "a single `=` compares nothing"),
            ("a == b == c", "==", "a second comparison"),
            ("a == (b", "(", "a bracket is never closed"),
            ("a == b)", ")", "a bracket too many"),
            ("a b == c", "b", "two terms without anything between them"),
            ("a == b c", "c", "two terms without anything between them"),
            ("(a < b) == c", "<", "a comparison within brackets"),
            ("a == * b", "*", "a term is missing"),
            ("a == b +", "+", "a term is missing"),
            ("a == b % 2", "%", "'%' has no meaning in a formula"),
            ("a == 1e999", "1e999", "a number beyond all that are held"),
        ] {
            let error = Formula::parse(text).unwrap_err();
            assert_eq!(error.message, message, "{text}");
            assert_eq!(&text[error.at.clone()], at, "{text}: {error:?}");
        }
        let deep = format!("{}a{} == 1", "(".repeat(21), ")".repeat(21));
        assert_eq!(Formula::parse(&deep).unwrap_err().message, "brackets in too many brackets");
        assert!(Formula::parse(&format!("{}1 == 1", "- ".repeat(21))).is_err());
        assert!(Formula::parse(&format!("1 == {}", "9".repeat(500))).is_err());
        assert!(Formula::parse(&format!("a == {}", "x".repeat(40))).is_err(), "no watch can be called that");
    }

    #[test]
    fn equal_is_within_a_share_of_the_larger() {
        for (relation, within, left, right, holds) in [
            (Relation::Equal, 0.0, 5.0, 5.0, true),
            (Relation::Equal, 0.0, 5.0, 5.1, false),
            (Relation::Equal, 0.01, 100.0, 99.0, true),
            (Relation::Equal, 0.01, 100.0, 98.9, false),
            (Relation::Equal, 0.01, 0.0, 0.0, true),
            (Relation::Equal, 0.01, -100.0, -99.5, true),
            (Relation::Unequal, 0.01, 100.0, 99.0, false),
            (Relation::Unequal, 0.0, 1.0, 2.0, true),
            (Relation::Less, 0.0, 1.0, 1.0, false),
            (Relation::AtMost, 0.0, 1.0, 1.0, true),
            (Relation::Greater, 0.0, 2.0, 1.0, true),
            (Relation::AtLeast, 0.0, 0.9, 1.0, false),
        ] {
            assert_eq!(relation.holds(left, right, within), holds, "{left} {} {right}", relation.word());
        }
    }

    proptest::proptest! {
        /// Whatever stands there, it is read or refused with a place in it.
        #[test]
        fn it_is_total(text in "[-+*/()<>=!a-c0-9. é]{0,60}") {
            if let Err(error) = Formula::parse(&text) {
                proptest::prop_assert!(text.get(error.at.clone()).is_some(), "{error:?}");
            }
        }
    }
}
