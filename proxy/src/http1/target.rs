//! The request target: normalised before routing, as Traefik does.
