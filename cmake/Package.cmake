# `cmake --install <build>`: the libraries with their headers, the program, the recipes, and the CMake package by which
# other projects say find_package(detent) and link detent::detent. tests/consumer is such a project.
include(CMakePackageConfigHelpers)

get_property(folders GLOBAL PROPERTY DETENT_FOLDERS)
list(TRANSFORM folders PREPEND detent_ OUTPUT_VARIABLE libraries)

# All of the library at once.
add_library(detent_umbrella INTERFACE)
add_library(detent::detent ALIAS detent_umbrella)
set_target_properties(detent_umbrella PROPERTIES EXPORT_NAME detent)
target_link_libraries(detent_umbrella INTERFACE ${libraries})

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/detent)
install(TARGETS ${libraries} detent_umbrella EXPORT detentTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT detentTargets NAMESPACE detent:: DESTINATION ${package_dir})
foreach(folder IN LISTS folders)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/${folder}/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/detent/${folder}
          FILES_MATCHING PATTERN "*.h")
endforeach()
install(DIRECTORY ${PROJECT_SOURCE_DIR}/recipes/ DESTINATION ${CMAKE_INSTALL_DATADIR}/detent/recipes
        FILES_MATCHING PATTERN "*.toml")
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

write_basic_package_version_file(detentConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES cmake/detentConfig.cmake cmake/Dependencies.cmake cmake/FindOneDNN.cmake
              ${PROJECT_BINARY_DIR}/detentConfigVersion.cmake
        DESTINATION ${package_dir})
