// Names of an enumeration's values.
#pragma once

#include <cstddef>
#include <initializer_list>

#include "engine/export.h"

namespace g2s G2S_EXPORTED {

// `names`: in the order of the values, which count from 0.
template <class Enum>
const char* name_of(Enum value, std::initializer_list<const char*> names) {
  return names.begin()[static_cast<std::size_t>(value)];
}

}  // namespace g2s
