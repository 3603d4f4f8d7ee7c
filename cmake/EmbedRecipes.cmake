# The shipped recipes and published tables are compiled into the program, so that it finds them wherever it runs.
#
# embed_recipes(<variable>): sets <variable> to a source that is written at build time from recipes/*.toml and
# recipes/published/*.toml and defines what recipes/shipped.h declares. The same file, run as a script, writes that
# source.
if(CMAKE_SCRIPT_MODE_FILE)
  function(entries_of variable)
    set(entries "")
    foreach(recipe IN LISTS ARGN)
      get_filename_component(name ${recipe} NAME_WE)
      file(READ ${recipe} text)
      string(APPEND entries "    {\"${name}\", R\"recipe(${text})recipe\"},\n")
    endforeach()
    set(${variable} "${entries}" PARENT_SCOPE)
  endfunction()
  entries_of(recipes ${RECIPES})
  entries_of(tables ${TABLES})
  file(WRITE ${OUTPUT} "// Written by cmake/EmbedRecipes.cmake from recipes/*.toml and recipes/published/*.toml.
#include \"detent/recipes/shipped.h\"

#include <vector>

namespace detent::recipes {

std::span<const ShippedRecipe> shipped_recipes() {
  static const std::vector<ShippedRecipe> recipes{
${recipes}  };
  return recipes;
}

std::span<const ShippedRecipe> shipped_tables() {
  static const std::vector<ShippedRecipe> tables{
${tables}  };
  return tables;
}

}  // namespace detent::recipes
")
  return()
endif()

set(embed_recipes_script ${CMAKE_CURRENT_LIST_FILE})

function(embed_recipes variable)
  file(GLOB recipes CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/recipes/*.toml)
  file(GLOB tables CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/recipes/published/*.toml)
  set(source ${PROJECT_BINARY_DIR}/generated/shipped_recipes.cpp)
  add_custom_command(
    OUTPUT ${source}
    COMMAND ${CMAKE_COMMAND} "-DRECIPES=${recipes}" "-DTABLES=${tables}" -DOUTPUT=${source} -P ${embed_recipes_script}
    DEPENDS ${recipes} ${tables} ${embed_recipes_script}
    COMMENT "Embedding the recipes"
    VERBATIM)
  set(${variable} ${source} PARENT_SCOPE)
endfunction()
