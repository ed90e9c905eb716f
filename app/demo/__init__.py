"""`lectr demo`: sample traffic that reads like a month of a team's, and a provider that answers on this machine."""
