//! The cookies of one client. Keeps names and values; of the attributes it heeds `Max-Age` alone,
//! so that a cookie for HTTPS or another path is sent as well: what is measured is the proxy, not
//! a browser. Called by the client.

/// What a client was given, in the order in which the names came.
#[derive(Clone, Debug, Default)]
pub(super) struct Jar {
    cookies: Vec<(String, String)>,
}

impl Jar {
    /// Takes one `Set-Cookie` value in; true when what is sent from now on differs.
    pub(super) fn take_in(&mut self, line: &str) -> bool {
        let mut parts = line.split(';');
        let Some((name, value)) = parts.next().and_then(|it| it.split_once('=')) else {
            return false;
        };
        let (name, value) = (name.trim(), value.trim());
        let is_removal = parts.any(|it| {
            let (key, age) = it.split_once('=').unwrap_or((it, ""));
            let is_age = key.trim().eq_ignore_ascii_case("max-age");
            is_age && age.trim().parse::<i64>().is_ok_and(|it| it <= 0)
        });
        let known = self.cookies.iter().position(|(it, _)| it == name);
        match (known.and_then(|at| self.cookies.get_mut(at)), is_removal) {
            (Some(_), true) => self.cookies.retain(|(it, _)| it != name),
            (None, true) => return false,
            (Some((_, held)), false) if held == value => return false,
            (Some((_, held)), false) => value.clone_into(held),
            (None, false) => self.cookies.push((name.to_owned(), value.to_owned())),
        }
        true
    }

    /// The value of `Cookie`; empty when there is nothing to send.
    pub(super) fn field_value(&self) -> String {
        let pairs = self.cookies.iter().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jar_keeps_the_last_value_of_each_name() {
        let mut jar = Jar::default();
        for (line, is_new, sent) in [
            ("a=1; Path=/; HttpOnly", true, "a=1"),
            ("a=1; Max-Age=60", false, "a=1"),
            ("b=x=y", true, "a=1; b=x=y"),
            ("a=2", true, "a=2; b=x=y"),
            ("nothing", false, "a=2; b=x=y"),
            ("a=; max-age=0", true, "b=x=y"),
            ("a=; max-age=0", false, "b=x=y"),
        ] {
            assert_eq!(jar.take_in(line), is_new, "{line}");
            assert_eq!(jar.field_value(), sent, "{line}");
        }
    }
}
