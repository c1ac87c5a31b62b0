"""One page a file: widgets, no logic. Not called `pages`: Streamlit runs such a folder's files as pages by itself."""
