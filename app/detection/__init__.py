"""Which provider a request goes to: `detect.detect` on the request path, `explain.explain` for people."""
