package fault

import _ "reflect"
