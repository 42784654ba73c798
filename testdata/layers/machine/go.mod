module github.com/thumbturn/thumbturn

go 1.26.0
