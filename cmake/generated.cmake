# Sources made at build time. A generator adds its output to roost_generated_<library>.
file(GLOB generators "${CMAKE_SOURCE_DIR}/cmake/generate_*.cmake")
foreach(generator IN LISTS generators)
    include("${generator}")
endforeach()
