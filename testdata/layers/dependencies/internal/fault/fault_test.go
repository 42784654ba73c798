package fault

import _ "github.com/google/go-cmp/cmp"
