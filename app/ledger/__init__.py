"""The only package that speaks SQL: one row per request, their daily sums, keys, users and team settings.

`database` opens and migrates the file, `writer` takes finished requests, `requests_report`, `usage_report` and
`facets` answer questions about them, `keys`, `users`, `sessions` and `team` keep what the console sets, and
`maintenance`, `reprice` and `verify` are for the command line.
"""
