//! `{{ name }}` in a plan's texts, filled from the parameters; `{{ secret.KEY }}` where a secret may stand. Unknown names are errors, never empty text.

use super::Params;
use std::collections::BTreeMap;

/// A text with parameters in it, checked when the plan was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    text: String,
    /// Nothing in it is filled in: braces are braces.
    literal: bool,
}

/// Why a template could not be filled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?}: {why}")]
pub struct RenderError {
    /// The template.
    pub text: String,
    /// What the engine said.
    pub why: String,
}

fn engine() -> minijinja::Environment<'static> {
    let mut engine = minijinja::Environment::empty();
    engine.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    if let Ok(syntax) = minijinja::syntax::SyntaxConfig::builder().keep_trailing_newline(true).build() {
        engine.set_syntax(syntax);
    }
    engine
}

impl Template {
    /// Checks the syntax.
    pub fn new(text: &str) -> Result<Self, String> {
        engine().template_from_str(text).map_err(|error| error.to_string())?;
        Ok(Self { text: text.to_owned(), literal: false })
    }
    /// A text that stands for itself, as somebody typed it.
    pub fn literal(text: &str) -> Self {
        Self { text: text.to_owned(), literal: true }
    }
    /// As it stands in the plan.
    pub fn text(&self) -> &str {
        &self.text
    }
    /// The parameters it names.
    pub fn names(&self) -> Vec<String> {
        let mut names = self.undeclared();
        names.retain(|name| secret_key(name).is_none());
        names
    }
    /// The keys of the secrets it names.
    pub fn secrets(&self) -> Vec<String> {
        self.undeclared().iter().filter_map(|name| secret_key(name)).map(str::to_owned).collect()
    }
    fn undeclared(&self) -> Vec<String> {
        if self.literal {
            return vec![];
        }
        let engine = engine();
        let Ok(template) = engine.template_from_str(&self.text) else {
            return vec![];
        }; // checked by `new`
        let mut names: Vec<_> = template.undeclared_variables(true).into_iter().collect();
        names.sort();
        names
    }
    /// Fills it. Not one that names a secret.
    pub fn render(&self, params: &Params) -> Result<String, RenderError> {
        self.render_with(params, BTreeMap::new())
    }
    /// Fills it, with something that stands for each secret it names.
    pub fn fill(&self, params: &Params, secret: impl Fn(&str) -> String) -> Result<String, RenderError> {
        self.render_with(params, self.secrets().into_iter().map(|key| (key.clone(), secret(&key))).collect())
    }
    fn render_with(&self, params: &Params, secrets: BTreeMap<String, String>) -> Result<String, RenderError> {
        if self.literal {
            return Ok(self.text.clone());
        }
        let error = |why: String| RenderError { text: self.text.clone(), why };
        if let Some(missing) = self.names().into_iter().find(|name| !params.contains_key(name)) {
            return Err(error(format!(
                "parameter {missing:?} has no value; the lead gives it one with `set {missing}=VALUE` (or --param {missing}=VALUE at the start)"
            )));
        }
        let secret = minijinja::Value::from(secrets);
        let values = params.iter().map(|(name, value)| (name.as_str(), minijinja::Value::from(value.as_str())));
        let values: BTreeMap<_, _> = values.chain([("secret", secret)]).collect();
        engine().render_str(&self.text, values).map_err(|e| error(e.to_string()))
    }
}

/// `secret.KEY` as KEY.
pub(super) fn secret_key(name: &str) -> Option<&str> {
    name.strip_prefix("secret.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_parameter_is_an_error_and_not_empty_text() {
        let template = Template::new("drop {{ index }} {{ index }}\n").unwrap();
        assert_eq!(template.names(), ["index"]);
        assert!(template.render(&Params::new()).unwrap_err().why.contains("--param index="));
        let params = Params::from([("index".to_owned(), "a'b".to_owned())]);
        assert_eq!(template.render(&params).unwrap(), "drop a'b a'b\n");
        assert!(Template::new("{{ a").is_err());
    }

    #[test]
    fn secrets_are_told_apart_from_parameters() {
        let template = Template::new("{{ user }}:{{ secret.KEY }}").unwrap();
        assert_eq!((template.names(), template.secrets()), (vec!["user".to_owned()], vec!["KEY".to_owned()]));
        let params = Params::from([("user".to_owned(), "{{ secret.OTHER }}".to_owned())]);
        assert_eq!(template.fill(&params, |key| format!("<{key}>")).unwrap(), "{{ secret.OTHER }}:<KEY>");
        assert!(template.render(&params).is_err(), "never as empty text");
    }
}
