//! What plan writers get to see when something is wrong, letter by letter.

use super::tests::{HEAD, STEP, WATCH, errors};

macro_rules! golden {
    ($($name:ident: $text:expr, $shown:literal)*) => {$(
        #[test]
        fn $name() {
            assert_eq!(format!("\n{}\n", errors(&$text)), $shown);
        }
    )*};
}

golden! {
    shows_a_syntax_error: "crosscheck = 1\nname = \"n\n", r#"
error: invalid basic string
 --> plan.toml:2:10
  |
2 | name = "n
  |          ^ expected `"`
"#
    shows_another_format: "crosscheck = 2\nanything = true\n", r#"
error: the plan is in format 2; this version of crosscheck reads format 1
 --> plan.toml:1:14
  |
1 | crosscheck = 2
  |              ^ expected crosscheck = 1
"#
    shows_a_missing_format: "name = \"n\"\n", r#"
error: the plan does not name its format
 --> plan.toml:1:1
  |
1 | name = "n"
  | ^ expected crosscheck = 1
  |
  = help: begin the plan with crosscheck = 1, the format it is written in
"#
    shows_a_way_back_without_its_watch:
        format!("{HEAD}{WATCH}[[recovery]]\nname = \"replay\"\nwatch = \"ww\"\ntakes = \"40m\"\n"), r#"
error: there is no watch "ww"
  --> plan.toml:13:9
   |
13 | watch = "ww"
   |         ^^^^ did you mean "w"?
"#
    shows_an_unknown_key: format!("{HEAD}{WATCH}{STEP}gate = [\"w\"]\n"), r#"
error: unknown key `gate` in a step
  --> plan.toml:14:1
   |
14 | gate = ["w"]
   | ^^^^ did you mean `gates`?
   |
   = help: a step may have: id, title, class, run, env, cwd, stdin, sealed, files, timeout, exits, leaves, io, input, on, pipefail, gates, after, checks, lapse, expected, verify, rollback, preview, rehearse, until, each, manual, probe, point_of_no_return, expects_loss, run_on_clear, readback, require_touch, touches, undo, half_way, remains_in
"#
    shows_a_bad_duration: format!("{HEAD}{STEP}expected = \"45 minutes\"\n"), r#"
error: `expected` is not a duration
  --> plan.toml:10:12
   |
10 | expected = "45 minutes"
   |            ^^^^^^^^^^^^ expected a duration such as "45m" or "800ms"
   |
   = help: a whole number and one unit: ms, s, m, h or d
"#
    shows_a_duration_without_unit: format!("{HEAD}{STEP}expected = 45\n"), r#"
error: `expected` has the wrong type
  --> plan.toml:10:12
   |
10 | expected = 45
   |            ^^ expected a duration such as "45m" or "800ms", found a whole number
   |
   = help: write the unit: "45s"
"#
    shows_an_unknown_watch: format!("{HEAD}{WATCH}{STEP}gates = [\"ww\"]\n"), r#"
error: there is no watch "ww"
  --> plan.toml:14:10
   |
14 | gates = ["ww"]
   |          ^^^^ did you mean "w"?
"#
    shows_a_list_that_is_text: format!("{HEAD}{WATCH}{STEP}gates = \"w\"\n"), r#"
error: `gates` has the wrong type
  --> plan.toml:14:9
   |
14 | gates = "w"
   |         ^^^ expected a list of watch ids, found text
   |
   = help: write it as a list: ["w"]
"#
    shows_a_later_step: format!("{HEAD}{STEP}after = [\"t\"]\n[[step]]\nid = \"t\"\nrun = \"x\"\n"), r#"
error: the step would wait for "t", which comes later
  --> plan.toml:10:10
   |
10 | after = ["t"]
   |          ^^^ expected a step above this one
   |
   = help: move one of the two: the plan's order is the order they are flown in, so nothing can wait in a circle
"#
    shows_an_undeclared_parameter: format!("{HEAD}[params.index]\n[[step]]\nid = \"s\"\nrun = [\"x\", \"a{{{{ indx }}}}b\"]\n"), r#"
error: parameter `indx` is not declared
  --> plan.toml:10:15
   |
10 | run = ["x", "a{{ indx }}b"]
   |               ^^^^^^^^^^ did you mean `index`?
   |
   = help: declare it: [params.indx]
"#
    shows_a_secret_in_a_command: format!("{HEAD}[secrets]\nK = {{ env = \"K\" }}\n[[step]]\nid = \"s\"\nrun = [\"x\", \"-p{{{{ secret.K }}}}\"]\n"), r#"
error: a secret in `run`
  --> plan.toml:11:16
   |
11 | run = ["x", "-p{{ secret.K }}"]
   |                ^^^^^^^^^^^^^^ secrets are for a step's `env` and for `webhook` alone
   |
   = help: let the command read it from a variable: env = { KEY = "{{ secret.KEY }}" }; everything else stands in the transcript, and a command line in `ps`
"#
    shows_an_undeclared_secret: format!("{HEAD}[secrets]\nES_KEY = {{ env = \"K\" }}\n{STEP}env = {{ K = \"{{{{ secret.ES_KEI }}}}\" }}\n"), r#"
error: secret `ES_KEI` is not declared
  --> plan.toml:12:14
   |
12 | env = { K = "{{ secret.ES_KEI }}" }
   |              ^^^^^^^^^^^^^^^^^^^ did you mean `ES_KEY`?
   |
   = help: declare it in [secrets]: ES_KEI = { command = ["…"] }, { env = "NAME" } or { file = "path" }
"#
    shows_what_is_refused: format!("{HEAD}[[watch]]\nid = \"w\"\nkind = \"kafka-lag\"\nbrokers = \"k:9092\"\ngroup = \"g\"\nclient = {{ \"sasl.mechanism\" = \"GSSAPI\" }}\n{STEP}"), r#"
error: sasl.mechanism GSSAPI is not in this version of crosscheck
  --> plan.toml:12:31
   |
12 | client = { "sasl.mechanism" = "GSSAPI" }
   |                               ^^^^^^^^ refused
   |
   = help: leave it out; it is refused rather than ignored, because a plan that relies on it must not fly without it
"#
    shows_a_database_that_does_not_check_who_answers: format!("{HEAD}[[watch]]\nid = \"w\"\nkind = \"sql\"\nquery = \"select 1\"\npostgres = {{ host = \"db1\", dbname = \"shop\", user = \"watch\", sslmode = \"require\" }}\n{STEP}"), r#"
error: sslmode "require" does not check who answers
  --> plan.toml:11:71
   |
11 | postgres = { host = "db1", dbname = "shop", user = "watch", sslmode = "require" }
   |                                                                       ^^^^^^^^^ expected "verify-full" or "disable"
   |
   = help: "verify-full" is the default; "disable" sends everything in clear
"#
    shows_a_distance_from_nothing: format!("{HEAD}[[watch]]\nid = \"w\"\nkind = \"lakefs\"\nuri = \"http://lakefs:8000/api/v1\"\nrepository = \"shop\"\nref = \"ingest\"\nmax_behind = 0\n{STEP}"), r#"
error: `max_behind` does not say of what: there is no `base`
  --> plan.toml:13:14
   |
13 | max_behind = 0
   |              ^ expected a `base` beside it
"#
    shows_too_few_shadows: "crosscheck = 1\nname = \"n\"\nenvironment = \"e\"\ncrew = { lead = [\"a\"], shadow = [\"a\", \"b\"] }\n[[step]]\nid = \"s\"\nclass = \"irreversible\"\nrun = \"x\"\n", r#"
error: the step needs 2 cross-checks, but the plan names only 1 shadow beside the lead
 --> plan.toml:7:9
  |
7 | class = "irreversible"
  |         ^^^^^^^^^^^^^^ nobody could clear this step
  |
  = help: name more people in crew.shadow; a leads and cannot cross-check the same step
"#
    shows_a_default_outside_its_pattern: format!("{HEAD}[params.i]\ndefault = \"x1\"\npattern = \"x\"\n"), r#"
error: the default of `i` does not match its own pattern
 --> plan.toml:8:11
  |
8 | default = "x1"
  |           ^^^^ expected the whole of it to match "x"
"#
    shows_a_hidden_character: format!("{HEAD}{STEP}touches = \"a\u{202e}b\"\n"), r#"
error: the plan holds the hidden character \u{202e}
  --> plan.toml:10:13
   |
10 | touches = "a\u{202e}b"
   |             ^^^^^^^^ expected characters that can be seen
"#
    shows_an_escaped_hidden_character: format!("{HEAD}{STEP}touches = \"a\\u001bb\"\n"), r#"
error: `touches` holds the hidden character \u{1b}
  --> plan.toml:10:11
   |
10 | touches = "a\u001bb"
   |           ^^^^^^^^^^ expected characters that can be seen
"#
    shows_a_missing_lead: "crosscheck = 1\nname = \"n\"\nenvironment = \"e\"\n[crew]\nshadow = [\"b\"]\n", r#"
error: the crew has no `lead`
 --> plan.toml:4:1
  |
4 | [crew]
  | ^^^^^^ expected lead = ["somebody@example.org"]
"#
    shows_two_steps_of_one_id: format!("{HEAD}{STEP}{STEP}"), r#"
error: two step tables have the id "s"
  --> plan.toml:11:6
   |
11 | id = "s"
   |      ^^^ expected an id of its own
"#
}
