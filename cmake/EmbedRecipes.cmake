# The shipped recipes are compiled into the program, so that it finds them wherever it runs.
#
# embed_recipes(<variable>): sets <variable> to a source that is written at build time from recipes/*.toml and defines
# what recipes/shipped.h declares. The same file, run as a script, writes that source.
if(CMAKE_SCRIPT_MODE_FILE)
  set(entries "")
  foreach(recipe IN LISTS RECIPES)
    get_filename_component(name ${recipe} NAME_WE)
    file(READ ${recipe} text)
    string(APPEND entries "    {\"${name}\", R\"recipe(${text})recipe\"},\n")
  endforeach()
  file(WRITE ${OUTPUT} "// Written by cmake/EmbedRecipes.cmake from recipes/*.toml.
#include \"detent/recipes/shipped.h\"

#include <vector>

namespace detent::recipes {

std::span<const ShippedRecipe> shipped_recipes() {
  static const std::vector<ShippedRecipe> recipes{
${entries}  };
  return recipes;
}

}  // namespace detent::recipes
")
  return()
endif()

set(embed_recipes_script ${CMAKE_CURRENT_LIST_FILE})

function(embed_recipes variable)
  file(GLOB recipes CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/recipes/*.toml)
  set(source ${PROJECT_BINARY_DIR}/generated/shipped_recipes.cpp)
  add_custom_command(
    OUTPUT ${source}
    COMMAND ${CMAKE_COMMAND} "-DRECIPES=${recipes}" -DOUTPUT=${source} -P ${embed_recipes_script}
    DEPENDS ${recipes} ${embed_recipes_script}
    COMMENT "Embedding the recipes"
    VERBATIM)
  set(${variable} ${source} PARENT_SCOPE)
endfunction()
