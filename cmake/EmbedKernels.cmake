# What `detent export --format c` writes is put together from the functions in interchange/c/kernels, which are compiled
# into the library.
#
# embed_kernels(<variable>): sets <variable> to a source that is written at build time from interchange/c/kernels/*.c and
# defines what interchange/c/kernel_texts.h declares. The same file, run as a script, writes that source.
if(CMAKE_SCRIPT_MODE_FILE)
  set(entries "")
  foreach(kernel IN LISTS KERNELS)
    get_filename_component(name ${kernel} NAME_WE)
    file(READ ${kernel} text)
    string(APPEND entries "      {\"${name}\", R\"kernel(${text})kernel\"},\n")
  endforeach()
  file(WRITE ${OUTPUT} "// Written by cmake/EmbedKernels.cmake from interchange/c/kernels/*.c.
#include \"detent/interchange/c/kernel_texts.h\"

#include <map>

namespace detent::interchange::c {

std::string_view kernel_text(std::string_view name) {
  static const std::map<std::string_view, std::string_view> texts{
${entries}  };
  return texts.at(name);
}

}  // namespace detent::interchange::c
")
  return()
endif()

set(embed_kernels_script ${CMAKE_CURRENT_LIST_FILE})

function(embed_kernels variable)
  file(GLOB kernels CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/interchange/c/kernels/*.c)
  set(source ${PROJECT_BINARY_DIR}/generated/kernel_texts.cpp)
  add_custom_command(
    OUTPUT ${source}
    COMMAND ${CMAKE_COMMAND} "-DKERNELS=${kernels}" -DOUTPUT=${source} -P ${embed_kernels_script}
    DEPENDS ${kernels} ${embed_kernels_script}
    COMMENT "Embedding the kernels of exported C"
    VERBATIM)
  set(${variable} ${source} PARENT_SCOPE)
endfunction()
