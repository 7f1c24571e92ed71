//! `sundew audit`: which services rely on stickiness, and how safely. Starts nothing.

use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use sundew_config::audit::{Audit, Finding, Row};
use sundew_config::{Place, Severity, load};

use super::print;

const AFTER_HELP: &str = "\
Examples:
  sundew audit /etc/traefik/traefik.yml               a static file and everything that it names
  sundew audit dynamic/app.yml --fail-on warning      a dynamic file alone, in CI

Exit code: 0; 1 when the file cannot be read, or with --fail-on when something that bad was found.";

/// Say which services rely on stickiness, and how safely
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct AuditArguments {
    /// The file (YAML or TOML), of Traefik or of sundew
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Print one JSON object
    #[arg(long)]
    json: bool,

    /// Exit with 1 when something at least that bad was found
    #[arg(long, value_name = "SEVERITY")]
    fail_on: Option<FailOn>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FailOn {
    Warning,
    Error,
}

impl FailOn {
    fn severity(self) -> Severity {
        match self {
            Self::Warning => Severity::Warning,
            Self::Error => Severity::Error,
        }
    }
}

/// Prints the table and the findings.
pub(super) fn audit(arguments: &AuditArguments) -> ExitCode {
    let audit = match load::audit(&arguments.file) {
        Ok(audit) => audit,
        Err(problems) => {
            print(&problems);
            return ExitCode::FAILURE;
        }
    };
    let text = if arguments.json { format!("{:#}\n", as_json(&audit)) } else { as_text(&audit) };
    // Whoever closed standard output still gets the exit code.
    let _ = std::io::stdout().write_all(text.as_bytes());
    let worst = audit.findings.iter().map(|it| it.severity).max();
    let is_too_bad = |limit: FailOn| worst.is_some_and(|worst| worst >= limit.severity());
    if arguments.fail_on.is_some_and(is_too_bad) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The cookie, and what pins without one.
fn pinned_by(row: &Row) -> String {
    let cookie = std::iter::once(row.cookie.as_str()).filter(|it| !it.is_empty());
    cookie.chain(row.keys.iter().map(String::as_str)).collect::<Vec<_>>().join(", ")
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Note => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

fn place(place: &Place) -> String {
    format!("{}:{}", place.file.display(), place.line)
}

fn as_json(audit: &Audit) -> Value {
    let rows = audit.rows.iter().map(|row| {
        json!({
            "service": row.service,
            "place": place(&row.place),
            "level": if row.is_group { "group" } else { "server" },
            "cookie": row.cookie,
            "keys": row.keys,
            "attributes": row.attributes,
            "healthCheck": row.has_health_check,
            "strict": row.is_strict,
            "members": row.members,
            "draining": row.draining,
            "tls": row.tls.as_str(),
        })
    });
    let findings = audit.findings.iter().map(|it| {
        json!({
            "id": it.id,
            "severity": word(it.severity),
            "place": place(&it.place),
            "service": it.service,
            "why": it.why,
            "write": it.write,
        })
    });
    json!({ "services": rows.collect::<Vec<_>>(), "findings": findings.collect::<Vec<_>>() })
}

fn as_text(audit: &Audit) -> String {
    if audit.rows.is_empty() && audit.findings.is_empty() {
        return "no service is sticky\n".to_owned();
    }
    let mut text = table(&audit.rows);
    for finding in &audit.findings {
        let Finding { id, severity, service, why, write, .. } = finding;
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\n{}: {} [{id}] {service}: {why}\n    write: {write}\n",
            place(&finding.place),
            word(*severity),
        );
    }
    let count = |severity| audit.findings.iter().filter(|it| it.severity == severity).count();
    let _ = writeln!(
        text,
        "\nsticky services: {}, errors: {}, warnings: {}, notes: {}",
        audit.rows.len(),
        count(Severity::Error),
        count(Severity::Warning),
        count(Severity::Note),
    );
    text
}

fn table(rows: &[Row]) -> String {
    let yes = |it: bool| if it { "yes" } else { "no" }.to_owned();
    let head = ["SERVICE", "COOKIE", "HEALTH CHECK", "STRICT", "DRAINED", "TLS", "ATTRIBUTES"];
    let mut cells = vec![head.map(str::to_owned)];
    cells.extend(rows.iter().map(|row| {
        [
            row.service.clone(),
            pinned_by(row),
            yes(row.has_health_check),
            yes(row.is_strict),
            format!("{} of {}", row.draining, row.members),
            row.tls.as_str().to_owned(),
            row.attributes.clone(),
        ]
    }));
    let mut widths = [0; 7];
    for row in &cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    for row in &cells {
        let padded = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        out.push_str(padded.collect::<Vec<_>>().join("  ").trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "http:\n  services:\n    app:\n      loadBalancer:\n        \
                        sticky: {cookie: {name: sid, cache: private, sameSite: lax}}\n        \
                        healthCheck: {path: /}\n        \
                        servers: [{url: 'http://a'}, {url: 'http://b', weight: 0}]\n";

    fn arguments(file: PathBuf, fail_on: Option<FailOn>) -> AuditArguments {
        AuditArguments { file, json: false, fail_on }
    }

    #[test]
    fn a_table_comes_first_and_each_finding_says_what_to_write() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f.yml");
        std::fs::write(&file, FILE).unwrap();
        let found = load::audit(&file).unwrap();
        let text = as_text(&found).replace(&format!("{}/", folder.path().display()), "");
        assert_eq!(
            text,
            "SERVICE   COOKIE  HEALTH CHECK  STRICT  DRAINED  TLS     ATTRIBUTES\n\
             app@file  sid     yes           no      1 of 2   unused  Path=/; SameSite=Lax\n\n\
             f.yml:5: warning [cookie-not-http-only] app@file: a script in a page can read the \
             pin and change it\n    write: httpOnly: true\n\n\
             sticky services: 1, errors: 0, warnings: 1, notes: 0\n"
        );
        let value = as_json(&found);
        assert_eq!(value["services"][0]["draining"], 1);
        assert_eq!(value["findings"][0]["id"], "cookie-not-http-only");
        for (fail_on, want) in [
            (None, ExitCode::SUCCESS),
            (Some(FailOn::Error), ExitCode::SUCCESS),
            (Some(FailOn::Warning), ExitCode::FAILURE),
        ] {
            let code = audit(&arguments(file.clone(), fail_on));
            assert_eq!(format!("{code:?}"), format!("{want:?}"), "{fail_on:?}");
        }
    }
}
