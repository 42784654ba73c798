package fault

import (
	_ "plugin"
	_ "reflect"
)
