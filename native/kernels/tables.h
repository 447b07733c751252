// Finding an operator's table of bodies by the name of an instruction set.
#pragma once

#include <cstring>

namespace coppice {

// The table of that name, or of the longest name that it extends ("neon" for "neon_fp16"); the first one, plain C++, for any other.
template <class Table, size_t Count>
const Table& table_for(const char* isa, const Table* const (&tables)[Count]) {
  const Table* found = tables[0];
  size_t longest = 0;
  for (const Table* table : tables) {
    const size_t length = std::strlen(table->isa);
    if (length > longest && std::strncmp(isa, table->isa, length) == 0) {
      found = table;
      longest = length;
    }
  }
  return *found;
}

}  // namespace coppice
