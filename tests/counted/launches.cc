#include "tests/support/check.h"
