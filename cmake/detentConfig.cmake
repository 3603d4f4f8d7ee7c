# find_package(detent): the targets detent::detent, and detent::runtime for programs that only run models.
include(${CMAKE_CURRENT_LIST_DIR}/Dependencies.cmake)
if(detent_missing)
  list(JOIN detent_missing ", " detent_missing)
  set(detent_FOUND FALSE)
  set(detent_NOT_FOUND_MESSAGE "detent's headers include those of packages that were not found: ${detent_missing}")
  return()
endif()
include(${CMAKE_CURRENT_LIST_DIR}/detentTargets.cmake)
