//! How a pick came about: the access log's `StickyStatus`.

/// Why a request went to the server that it went to. One closed set for logs and metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StickyOutcome {
    /// The service is not sticky.
    #[default]
    None,
    /// No cookie: balanced and pinned.
    New,
    /// A valid cookie to a server that is up.
    Pinned,
    /// A cookie of an older format: honoured and issued again.
    Rewritten,
    /// A cookie that names no server: balanced and pinned anew.
    Unknown,
    /// The pinned server is down: balanced and pinned anew.
    Down,
    /// The pinned server left the configuration.
    Gone,
    /// The pinned server is drained.
    Drained,
    /// The pinned server refused the connection: another took the request.
    Redispatched,
    /// Strict: refused rather than moved.
    Refused,
    /// Pinned by a request header.
    Header,
    /// Pinned by a query parameter.
    Query,
    /// A cookie of a previous name.
    Migrated,
    /// A sealed cookie past its lifetime.
    Expired,
    /// A sealed cookie that is not authentic.
    Forged,
    /// Moved by a budgeted rebalance.
    Rebalanced,
}

impl StickyOutcome {
    /// Every outcome, in the order of their declaration.
    pub const ALL: [Self; 16] = [
        Self::None,
        Self::New,
        Self::Pinned,
        Self::Rewritten,
        Self::Unknown,
        Self::Down,
        Self::Gone,
        Self::Drained,
        Self::Redispatched,
        Self::Refused,
        Self::Header,
        Self::Query,
        Self::Migrated,
        Self::Expired,
        Self::Forged,
        Self::Rebalanced,
    ];

    /// The client came with a pin, and it held.
    #[must_use]
    pub fn is_held_pin(self) -> bool {
        matches!(self, Self::Pinned | Self::Rewritten | Self::Migrated | Self::Header | Self::Query)
    }

    /// The word in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::New => "new",
            Self::Pinned => "pinned",
            Self::Rewritten => "rewritten",
            Self::Unknown => "unknown",
            Self::Down => "down",
            Self::Gone => "gone",
            Self::Drained => "drained",
            Self::Redispatched => "redispatched",
            Self::Refused => "refused",
            Self::Header => "header",
            Self::Query => "query",
            Self::Migrated => "migrated",
            Self::Expired => "expired",
            Self::Forged => "forged",
            Self::Rebalanced => "rebalanced",
        }
    }
}
