"""
What a developer of ImageGene pastes out of the integration guide: its functions, word for word, with the host as the
constant BASE_URL.
"""
# ruff: noqa: S113  the names and calls are the guide's

import requests

BASE_URL = "https://penora.replit.dev"


def your_ai_generation_function(prompt, style):
    """ImageGene's own code; whoever uses this module puts theirs here."""
    raise NotImplementedError


def initialize_user_in_unified_system(user_id, username, email):
    """Initialize user in unified credit system"""
    response = requests.post(
        f"{BASE_URL}/api/unified/create-user",
        json={
            "user_id": user_id,
            "username": username,
            "email": email,
            "initial_credits": 50,
        },
    )
    return response.json()


def check_user_credits(user_id):
    """Check if user has enough credits for generation"""
    response = requests.get(f"{BASE_URL}/api/unified/user-info?user_id={user_id}")
    data = response.json()
    return data.get("credits", 0) if data.get("success") else 0


def generate_ai_art_with_credits(user_id, prompt, style="photorealistic"):
    """Generate AI art and deduct credits"""

    # Check credits first
    credits = check_user_credits(user_id)
    if credits < 2:  # Assuming 2 credits per generation
        return {"error": "Insufficient credits"}

    # Generate the art (your existing AI generation code)
    art_result = your_ai_generation_function(prompt, style)

    if art_result["success"]:
        # Save to unified workspace
        save_response = requests.post(
            f"{BASE_URL}/api/unified/save-project",
            json={
                "user_id": user_id,
                "app_source": "imagegene",
                "project_type": "ai_art",
                "title": f"AI Art - {prompt[:30]}",
                "content": art_result["image_data"],
                "metadata": {"style": style, "prompt": prompt, "model": "dalle-3"},
            },
        )

        # Deduct credits
        credit_response = requests.post(
            f"{BASE_URL}/api/unified/deduct-credits",
            json={
                "user_id": user_id,
                "amount": 2,
                "app_name": "imagegene",
                "description": f"AI Art Generation - {style}",
                "project_code": save_response.json().get("project_code"),
            },
        )

        return {
            "success": True,
            "image": art_result["image_data"],
            "project_code": save_response.json().get("project_code"),
            "credits_remaining": credit_response.json().get("new_balance"),
        }

    return {"error": "Generation failed"}


def get_user_projects_for_dropdown(user_id):
    """Get all user projects for dropdown selection"""
    response = requests.get(f"{BASE_URL}/api/unified/projects?user_id={user_id}")

    if response.json().get("success"):
        projects = response.json()["all_projects"]

        # Format for dropdown
        dropdown_options = []
        for project in projects:
            dropdown_options.append(
                {
                    "value": project["code"],
                    "label": f"[{project['app_source'].upper()}] {project['title']}",
                    "type": project["project_type"],
                    "size": f"{project['size_mb']}MB",
                }
            )

        return dropdown_options

    return []


def get_storage_display_info(user_id):
    """Get storage info for UI display"""
    response = requests.get(f"{BASE_URL}/api/unified/storage-stats?user_id={user_id}")

    if response.json().get("success"):
        data = response.json()
        return {
            "used": data["storage_stats"]["used_mb"],
            "total": data["storage_stats"]["limit_mb"],
            "percentage": data["storage_stats"]["usage_percentage"],
            "penora_usage": data["breakdown"]["penora_mb"],
            "imagegene_usage": data["breakdown"]["imagegene_mb"],
        }

    return {"used": 0, "total": 1, "percentage": 0}
