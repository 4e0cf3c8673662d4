"""The pages of the dashboard, one file each; every file draws itself when Streamlit runs it."""
