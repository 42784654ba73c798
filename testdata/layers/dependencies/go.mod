module github.com/thumbturn/thumbturn

go 1.26.0

require (
	example.com/stranger v1.0.0
	github.com/ebitengine/purego v0.11.3
	github.com/google/go-cmp v0.7.0
	modernc.org/sqlite v1.62.0
)
