//! What a demo server answers: a coloured page for browsers, a few lines for curl. Pure.

/// What one answer tells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visit<'a> {
    /// The server's name.
    pub(super) name: &'a str,
    /// Its colour, as CSS writes it.
    pub(super) colour: &'a str,
    /// Its own address.
    pub(super) url: &'a str,
    /// Requests that it has answered, this one included.
    pub(super) hits: u64,
    /// The request's Cookie field, from the client: never trusted in the page.
    pub(super) cookie: Option<&'a str>,
}

impl Visit<'_> {
    /// For a terminal.
    pub(super) fn text(&self) -> String {
        let Self { name, url, hits, .. } = self;
        let cookie = self.cookie.unwrap_or("none yet");
        format!("server: {name}\nurl:    {url}\nhits:   {hits}\ncookie: {cookie}\n")
    }

    /// For a browser.
    pub(super) fn html(&self) -> String {
        let Self { name, colour, url, hits, .. } = self;
        let cookie = escape(self.cookie.unwrap_or("none yet: this answer brings one"));
        format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{name}</title>\
             <meta name=\"viewport\" content=\"width=device-width\"><link rel=\"icon\" href=\"data:,\">\
             <style>body{{margin:0;min-height:100vh;display:grid;place-content:center;\
             text-align:center;background:{colour};color:#fff;font:1.2rem system-ui,sans-serif}}\
             h1{{font-size:6rem;margin:0}}code{{overflow-wrap:anywhere}}</style>\
             <h1>{name}</h1><p>{url}</p><p>request {hits} of this server</p>\
             <p>your cookie: <code>{cookie}</code></p>\
             <p>Reload: the server stays the same. In a private window it may be another.</p>\n"
        )
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visit(cookie: Option<&str>) -> Visit<'_> {
        Visit { name: "teal", colour: "#077", url: "http://127.0.0.1:1", hits: 3, cookie }
    }

    #[test]
    fn both_answers_name_the_server_its_hits_and_the_cookie() {
        for answer in [visit(Some("sundew_demo=1f")).text(), visit(Some("sundew_demo=1f")).html()] {
            for part in ["teal", "http://127.0.0.1:1", "3", "sundew_demo=1f"] {
                assert!(answer.contains(part), "{part} in {answer}");
            }
        }
        assert!(visit(None).text().ends_with("cookie: none yet\n"));
    }

    #[test]
    fn a_cookie_cannot_put_markup_into_the_page() {
        let page = visit(Some("a=<script>alert(1)</script>&")).html();
        assert!(page.contains("a=&lt;script&gt;alert(1)&lt;/script&gt;&amp;"));
    }
}
