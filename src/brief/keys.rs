//! Which key does what on somebody's screen: the table's keys, or a person's own in their place. Dispatch, footer, help, palette
//! and every sentence that names a key ask here, so that none of them names one that does something else.

use super::acts::{Act, Place, Row, TABLE, shown};
use std::collections::BTreeMap;

/// The keys of every act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    bound: BTreeMap<Act, Vec<(String, Vec<Place>)>>,
}

impl Default for Keys {
    /// The table's own.
    fn default() -> Keys {
        let owned = |row: &Row| row.keys.iter().map(|(key, places)| ((*key).to_owned(), places.to_vec())).collect();
        Keys { bound: TABLE.iter().map(|row| (row.act, owned(row))).collect() }
    }
}

impl Keys {
    fn of(&self, act: Act) -> &[(String, Vec<Place>)] {
        act.row().and_then(|row| self.bound.get(&row.act)).map_or(&[], Vec::as_slice)
    }

    /// What a key means in a place. Its name is the character it writes, or `Esc`, `Tab`, `Shift-Tab`, `Space`, `Up`, `Down`,
    /// `Left`, `Right`, `PgUp`, `PgDn`, `Home`, `End`, or `Ctrl-` and a capital.
    pub fn act(&self, place: Place, key: &str) -> Option<Act> {
        let digit = key.parse::<u8>().ok().filter(|_| key.len() == 1);
        for row in TABLE {
            for (name, _) in self.of(row.act).iter().filter(|(_, places)| places.contains(&place)) {
                match (range(name), digit) {
                    (Some((from, to)), Some(digit)) if (from..=to).contains(&digit) => {
                        return Some(match row.act {
                            Act::Pane(_) => Act::Pane(digit),
                            Act::Tenth(_) => Act::Tenth(digit),
                            act => act,
                        });
                    }
                    _ if name == key => return Some(row.act),
                    _ => {}
                }
            }
        }
        None
    }

    /// The keys of an act in a place, as people read them.
    pub fn all(&self, act: Act, place: Place) -> Vec<&str> {
        let here = self.of(act).iter().filter(|(_, places)| places.contains(&place));
        here.map(|(key, _)| shown(key)).collect()
    }

    /// The first of them; empty where it has none there.
    pub fn first(&self, act: Act, place: Place) -> &str {
        self.all(act, place).first().copied().unwrap_or_default()
    }

    /// The rows that have a key in a place, in the table's order.
    pub fn rows(&self, place: Place) -> impl Iterator<Item = &'static Row> {
        TABLE.iter().filter(move |row| !self.all(row.act, place).is_empty())
    }

    /// Gives an act other keys, in every place where it had one. What this says no to, it says in a sentence.
    pub fn rebind(&mut self, name: &str, keys: &[String]) -> Result<(), String> {
        let row = TABLE.iter().find(|row| row.act.name() == name).ok_or_else(|| match nearest(name) {
            Some(near) => format!("there is no act `{name}`; did you mean `{near}`?"),
            None => format!("there is no act `{name}`; `crosscheck config acts` lists them"),
        })?;
        let old = self.bound.get(&row.act).cloned().unwrap_or_default();
        if old.iter().any(|(key, _)| range(key).is_some()) {
            return Err(format!("`{name}` keeps its digits"));
        }
        let mut places: Vec<Place> = old.iter().flat_map(|(_, places)| places).copied().collect();
        places.sort_unstable();
        places.dedup();
        if places.is_empty() {
            return Err(format!("`{name}` has no key on any screen"));
        }
        if keys.is_empty() {
            return Err(format!("`{name}` would have no key"));
        }
        for key in keys {
            can_be_bound(row.act, key)?;
        }
        // Whoever sits down at another's screen must be able to stop the line: its own keys stay.
        let kept = if row.act == Act::Andon { old } else { vec![] };
        let new = keys.iter().filter(|key| kept.iter().all(|(old, _)| old != *key));
        let new: Vec<_> = new.map(|key| (key.clone(), places.clone())).collect();
        self.bound.insert(row.act, [kept, new].concat());
        Ok(())
    }

    /// That no key means two things in one place, and that what opens the cross-check does not answer it.
    pub fn check(&self) -> Result<(), String> {
        for place in Place::ALL {
            let mut taken: BTreeMap<String, Act> = BTreeMap::new();
            for row in TABLE {
                for (key, _) in self.of(row.act).iter().filter(|(_, places)| places.contains(&place)) {
                    let digits = range(key).map(|(from, to)| (from..=to).map(|digit| digit.to_string()).collect());
                    for key in digits.unwrap_or_else(|| vec![key.clone()]) {
                        if let Some(other) = taken.insert(key.clone(), row.act) {
                            let (one, two) = (other.name(), row.act.name());
                            return Err(format!("{key} would mean `{one}` and `{two}` on {}", place.title()));
                        }
                    }
                }
            }
        }
        let opens = self.all(Act::Open, Place::Main);
        for answer in [Act::Check, Act::Object] {
            let slips = |key: &&str| opens.iter().any(|open| open.eq_ignore_ascii_case(key));
            if let Some(key) = self.all(answer, Place::Panel).into_iter().find(slips) {
                let name = answer.name();
                return Err(format!(
                    "{key} opens the cross-check, so it cannot be `{name}`: pressed twice it would answer unread"
                ));
            }
        }
        Ok(())
    }
}

/// The manual's page of keys: a table for each place.
pub fn keys_page() -> String {
    let (keys, mut text) = (Keys::default(), String::new());
    for place in Place::ALL {
        let title = place.title();
        text.push_str(&format!("## On {title}\n\n| Key | For | Does |\n|---|---|---|\n"));
        for row in keys.rows(place) {
            let keys: Vec<String> = keys.all(row.act, place).iter().map(|key| format!("`{key}`")).collect();
            text.push_str(&format!("| {} | {} | {} |\n", keys.join(" "), row.who.word(), row.help));
        }
        text.push('\n');
    }
    text.trim_end().to_owned()
}

/// The digits of `1-7`.
fn range(name: &str) -> Option<(u8, u8)> {
    let (from, to) = name.split_once('-')?;
    Some((from.parse().ok()?, to.parse().ok()?))
}

/// The keys that have a name, beside letters, digits and signs.
const NAMED: [&str; 12] =
    ["Esc", "Tab", "Shift-Tab", "Space", "Up", "Down", "Left", "Right", "PgUp", "PgDn", "Home", "End"];

fn can_be_bound(act: Act, key: &str) -> Result<(), String> {
    let control = key.strip_prefix("Ctrl-").is_some_and(|c| c.len() == 1 && c.chars().all(|c| c.is_ascii_uppercase()));
    let sign = key.len() == 1 && key.chars().all(|c| c.is_ascii_graphic());
    match key {
        "Enter" => Err("Enter acts on nothing: it only sends typed text".to_owned()),
        "Esc" if act != Act::Back => Err("Esc closes what is open, and nothing else".to_owned()),
        "Ctrl-C" if act != Act::Quit => Err("Ctrl-C leaves, as in every terminal".to_owned()),
        "!" | "Ctrl-X" if act != Act::Andon => Err(format!("{key} stops the line, on every screen")),
        _ if control || sign || NAMED.contains(&key) => Ok(()),
        _ => Err(format!(
            "no terminal says `{key}`; a key is a letter, a digit or a sign, Ctrl- and a capital, or one of {}",
            NAMED.join(", ")
        )),
    }
}

/// The act that was meant: one whose name begins alike.
fn nearest(name: &str) -> Option<String> {
    let names = TABLE.iter().map(|row| row.act.name());
    names.filter(|known| known.starts_with(name) || name.starts_with(known.as_str())).min_by_key(String::len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Place::{Main, Panel, Replay};

    fn bind(pairs: &[(&str, &[&str])]) -> Result<Keys, String> {
        let mut keys = Keys::default();
        for (name, to) in pairs {
            keys.rebind(name, &to.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>())?;
        }
        keys.check().map(|()| keys)
    }

    #[test]
    fn no_key_of_the_table_means_two_things() {
        assert_eq!(Keys::default().check(), Ok(()));
        let keys = Keys::default();
        for place in Place::ALL {
            for row in keys.rows(place) {
                for key in self::TABLE.iter().find(|r| r.act == row.act).into_iter().flat_map(|r| r.keys) {
                    if key.1.contains(&place) && range(key.0).is_none() {
                        assert_eq!(keys.act(place, key.0), Some(row.act), "{place:?}: {}", key.0);
                    }
                }
            }
        }
    }

    #[test]
    fn the_key_that_opens_is_not_one_that_answers() {
        let keys = Keys::default();
        assert_eq!(keys.act(Main, "x"), Some(Act::Open));
        for key in ["x", "X", "Y", "Enter"] {
            assert_eq!(keys.act(Panel, key), None, "{key}");
        }
        assert!(Place::ALL.iter().all(|place| keys.act(*place, "Enter").is_none()), "Enter only sends typed text");
        assert_eq!(keys.act(Main, "y"), None);
        assert_eq!(keys.act(Replay, "!"), None);
        assert_eq!(keys.act(Main, "3"), Some(Act::Pane(3)));
        assert_eq!((keys.act(Panel, "6"), keys.act(Replay, "6")), (None, Some(Act::Tenth(6))));
    }

    #[test]
    fn a_key_of_ones_own_takes_the_place_of_the_tables() {
        let keys = bind(&[("arm", &["I", "Ctrl-G"]), ("waive", &["a"])]).unwrap();
        assert_eq!((keys.act(Main, "I"), keys.act(Main, "Ctrl-G")), (Some(Act::Arm), Some(Act::Arm)));
        assert_eq!((keys.act(Main, "a"), keys.act(Main, "w")), (Some(Act::Waive), None));
        assert_eq!((keys.first(Act::Arm, Main), keys.first(Act::Waive, Main)), ("I", "a"));
        // Whatever else is pressed for it, these stop the line.
        let keys = bind(&[("andon", &["E"])]).unwrap();
        for key in ["!", "Ctrl-X", "E"] {
            assert_eq!((keys.act(Main, key), keys.act(Panel, key)), (Some(Act::Andon), Some(Act::Andon)), "{key}");
        }
    }

    #[test]
    fn what_would_make_a_slip_an_answer_is_refused_with_its_reason() {
        for (pairs, why) in [
            (&[("arm", &["r"][..])][..], "r would mean `arm` and `run` on the main screen"),
            (&[("arm", &["7"])], "7 would mean `arm` and `pane`"),
            (&[("check", &["x"])], "pressed twice it would answer unread"),
            (&[("check", &["X"])], "pressed twice it would answer unread"),
            (&[("run", &["Enter"])], "Enter acts on nothing"),
            (&[("run", &["Esc"])], "Esc closes"),
            (&[("run", &["Ctrl-C"])], "Ctrl-C leaves"),
            (&[("run", &["!"])], "stops the line"),
            (&[("run", &["F5"])], "no terminal says `F5`"),
            (&[("run", &["é"])], "no terminal says"),
            (&[("run", &[])], "would have no key"),
            (&[("pane", &["p"])], "keeps its digits"),
            (&[("kill", &["9"])], "has no key on any screen"),
            (&[("handove", &["9"])], "did you mean `handover`?"),
            (&[("launch", &["9"])], "lists them"),
        ] {
            let told = bind(pairs).expect_err(why);
            assert!(told.contains(why), "{pairs:?}: {told}");
        }
    }

    /// `CROSSCHECK_UPDATE=1 cargo test --lib the_manual_has` writes the pages anew.
    #[test]
    fn the_manual_has_the_table_as_it_is() {
        let update = std::env::var_os("CROSSCHECK_UPDATE").is_some();
        for (page, name, table) in [("keys", "keys", keys_page()), ("verbs", "verbs", crate::brief::acts::verbs_page())]
        {
            let path = format!("{}/docs/src/reference/{page}.md", env!("CARGO_MANIFEST_DIR"));
            let text = std::fs::read_to_string(&path).expect("the manual has the page");
            let begin = format!("<!-- table: {name} -->\n");
            let from = text.find(&begin).expect("the page says where the table begins") + begin.len();
            let to = text.find("\n<!-- end -->").expect("the page says where it ends");
            if update {
                std::fs::write(&path, format!("{}{table}{}", &text[..from], &text[to..])).expect("it can be written");
            } else {
                assert_eq!(&text[from..to], table, "{page}.md is old: run this test with CROSSCHECK_UPDATE=1");
            }
        }
    }
}
