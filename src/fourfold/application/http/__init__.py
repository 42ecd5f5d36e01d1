"""Management over HTTP: /api/v1 made from the table of acts, errors as RFC 9457 problem details, the OpenAPI document."""
